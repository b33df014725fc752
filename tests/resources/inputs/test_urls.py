"""Addresses of inputs: what is said of them, where they point, and what their copies are called."""

from pathlib import Path

import pytest

from domain.errors import InputError
from resources.inputs.urls import is_nwb, local_path, new_place, scheme_of, shown_url


def test_schemes_are_known_or_refused():
    assert [scheme_of(url) for url in ("S3://b/k", "file:///x", "https://h/x")] == ["s3", "file", "https"]
    for url in ("gs://b/k", "/data/x", "", "s3:/b"):
        with pytest.raises(InputError, match="Expected an address with one of s3, file, https, http"):
            scheme_of(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@host/a?X-Amz-Signature=secret#secret", "https://host/a"),
        ("s3://key:secret@bucket/what?.nwb", "s3://bucket/what?.nwb"),
        ("s3://bucket/user@host/x", "s3://bucket/user@host/x"),
        ("s3://bucket/a\nb\x1b[0m", "s3://bucket/a\\nb\\x1b[0m"),
        ("nothing", "nothing"),
    ],
)
def test_addresses_are_shown_without_secrets(url, shown):
    assert shown_url(url) == shown


def test_nwb_files_and_directories_are_recognized_by_their_name():
    assert all(is_nwb(name) for name in ("a.nwb", "a.nwb/", "a.nwb.zarr", "A.NWB"))
    assert not any(is_nwb(name) for name in ("a.zarr", "nwb", "a.nwb.txt", ""))


def test_a_file_address_is_decoded():
    assert local_path("file:///data/a%20b%C3%A9.nwb") == Path("/data/a bé.nwb")
    assert local_path("file://localhost/data/a?b#c") == Path("/data/a?b#c")


@pytest.mark.parametrize(
    "url", ["file://host/x", "file://", "file://x", "file:///a%00b", "file:///a%0Ab", "file:///a\nb"]
)
def test_a_file_address_that_is_none_is_refused(url):
    with pytest.raises(InputError, match=r"not a local file|control characters"):
        local_path(url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://b/x/a b.nwb", "a b.nwb"),
        ("s3://b/x/a.nwb.zarr/", "a.nwb.zarr"),
        ("s3://b/%2e%2e", "_2e_2e"),
        ("s3://b/x/..", "input"),
        ("s3://b", "b"),
        ("file:///x/..%2F..%2Fetc", ".._.._etc"),
        ("file:///x/a%0A%00.nwb", "a__.nwb"),
        ("https://h/x/a.nwb?sig=secret", "a.nwb"),
        ("https://h/%C3%A9.nwb", "é.nwb"),
        ("s3://b/" + "é" * 300 + ".nwb", "é" * 73 + ".nwb"),
    ],
)
def test_a_copy_has_a_safe_name_in_a_folder_of_its_own(tmp_path, url, name):
    places = [new_place(tmp_path / "inputs", url) for _ in range(3)]
    assert places == [tmp_path / "inputs" / str(i) / name for i in range(3)]
    assert all(place.parent.is_dir() and not place.exists() for place in places)
