"""Digests of inputs: of files by sha256sum, of directories by a listing that sha256sum makes too."""

import subprocess
import uuid
from dataclasses import replace
from hashlib import sha256

import pytest

from domain.job.inputs import InputFile
from resources.inputs.digests import content_digest
from resources.inputs.reader import InputReader
from resources.s3.server import S3Server

FILES = {".zattrs": b"{}", "0/0.0": b"x" * 3000, "0/0.1": b"", "é/a b": b"name", "0.x": b"1"}


def by_sha256sum(path):
    return subprocess.run(["sha256sum", "-b", str(path)], check=True, capture_output=True, text=True).stdout[:64]


@pytest.fixture
def store(tmp_path):
    """Write a directory like a Zarr store."""
    for name, content in FILES.items():
        (tmp_path / "s.nwb.zarr" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s.nwb.zarr" / name).write_bytes(content)
    return tmp_path / "s.nwb.zarr"


def test_the_digest_of_a_file_is_that_of_sha256sum(tmp_path):
    file = tmp_path / "a.nwb"
    file.write_bytes(bytes(range(256)) * 5000)
    assert content_digest(file) == by_sha256sum(file)


def test_the_digest_of_a_directory_covers_names_contents_and_sizes(store):
    lines = [
        f"{name}\0{by_sha256sum(store / name)}\0{len(FILES[name])}\n".encode()
        for name in sorted(FILES, key=lambda name: name.encode())
    ]
    assert content_digest(store) == sha256(b"".join(lines)).hexdigest()
    (store / "0/0.1").rename(store / "0/0.2")
    assert content_digest(store) != sha256(b"".join(lines)).hexdigest()


def test_a_directory_has_one_digest_on_disk_and_in_s3(store, tmp_path, s3):
    reader, bucket = InputReader(s3=s3.server), f"inputs-{uuid.uuid4().hex[:12]}"
    s3.ensure_bucket(bucket)
    for name, content in FILES.items():
        s3.client.put_object(Bucket=bucket, Key=f"s.nwb.zarr/{name}", Body=content)
    _, downloaded = reader.fetch(f"s3://{bucket}/s.nwb.zarr", tmp_path / "one")
    _, linked = reader.fetch(store.as_uri(), tmp_path / "two")
    assert downloaded.sha256 == linked.sha256 == content_digest(store)


def test_a_large_file_on_disk_is_described_without_a_digest(tmp_path):
    file = tmp_path / "a.nwb"
    file.write_bytes(b"12345")
    reader = replace(InputReader(S3Server()), large_local_bytes=4)
    assert reader.fetch(file.as_uri(), tmp_path / "job")[1].sha256 is None
    assert replace(reader, large_local_bytes=5).fetch(file.as_uri(), tmp_path / "job")[1].sha256 == by_sha256sum(file)


def test_a_digest_and_a_version_are_no_part_of_the_state_that_is_compared():
    then = InputFile(url="s3://b/k", etag="e", bytes=1)
    assert then.same_state(then.model_copy(update={"sha256": "0" * 64, "version_id": "v2", "modified": None}))
    assert not then.same_state(then.model_copy(update={"etag": "f"}))
    assert not then.same_state(then.model_copy(update={"bytes": 2}))
    assert not InputFile(url="file:///a", bytes=1, files=1).same_state(InputFile(url="file:///a", bytes=1, files=2))
