"""Inputs that lead somewhere else than to data: devices, pipes, and places that give credentials away."""

import os
import socket

import pytest

from domain.errors import InputError
from domain.job.urls import unreachable
from resources.inputs.reader import InputReader
from resources.s3.server import S3Server
from tests.resources.conftest import http_server
from tests.waiting import returned

READER = InputReader(S3Server())
METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"


@pytest.mark.parametrize("kind", ["fifo", "device", "socket", "folder with a pipe", "link to itself"])
def test_what_is_not_a_file_is_refused_without_a_wait(tmp_path, kind):
    path = tmp_path / "x.nwb"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
        case "folder with a pipe":
            path.mkdir()
            os.mkfifo(path / "pipe")
        case "link to itself":
            path.symlink_to("x.nwb")
    with pytest.raises(InputError):
        returned(lambda: READER.fetch(path.as_uri(), tmp_path / "job"))


@pytest.mark.parametrize(
    "url", [METADATA, "http://metadata.google.internal/x", "http://[fe80::1]/x", "http://[::ffff:169.254.169.254]/x"]
)
def test_metadata_services_are_never_queried(tmp_path, url):
    with pytest.raises(InputError, match="rejected"):
        READER.fetch(url, tmp_path)


def test_a_redirect_to_a_metadata_service_is_not_followed(tmp_path):
    server = http_server(lambda _: (302, {"Location": METADATA}, b""))
    with server as (address, requested), pytest.raises(InputError, match=r"169\.254\.169\.254"):
        READER.fetch(f"{address}/x.nwb", tmp_path)
    assert requested == ["/x.nwb"]


def test_a_name_of_a_metadata_service_is_found_by_its_address(tmp_path, monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(InputError, match="rejected"):
        READER.fetch("http://innocent.example.org/x.nwb", tmp_path)


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1:9000", "10.0.0.1", "[::1]:80", "[::1]", "8.8.8.8", "data.lab1", "s3"]
)
def test_other_hosts_are_read_from(host):
    assert unreachable(host) is None
