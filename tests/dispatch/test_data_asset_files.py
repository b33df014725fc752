"""Looking into many assets at once, in a real S3 server and on disk."""

import threading
from dataclasses import replace

import pytest

from dispatch.data_asset_files import LookingReader, check_exists, find_files, look_at
from domain.errors import InputError, ServerUnavailableError, SettingsError
from resources.inputs.resource import Inputs
from tests.conftest import BUCKET

NAMES = ["a.nwb", "deep/b.nwb", "deep/er/notes.txt", "x.nwb.zarr/.zgroup", "x.nwb.zarr/0/c.nwb", "y.zarr/z.nwb"]


@pytest.fixture
def reader(s3):
    """Read from the S3 server that runs."""
    return Inputs(s3=s3).reader


@pytest.fixture(params=["s3", "folder"])
def asset(request, s3, tmp_path, database):
    """Give the address of an asset with some files, of either kind."""
    if request.param == "s3":
        for name in NAMES:
            s3.client.put_object(Bucket=BUCKET, Key=f"{database}/asset/{name}", Body=b"x")
        return f"s3://{BUCKET}/{database}/asset"
    for name in NAMES:
        path = tmp_path / "asset" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return (tmp_path / "asset").as_uri()


@pytest.mark.parametrize(
    ("extension", "names"),
    [
        (".nwb", ["a.nwb", "deep/b.nwb"]),
        (".nwb.zarr", ["x.nwb.zarr"]),
        (".zarr", ["x.nwb.zarr", "y.zarr"]),
        ("deep/*.nwb", ["deep/b.nwb"]),
        (".tif", []),
    ],
)
def test_files_and_directories_of_a_kind_are_found_at_any_depth(reader, asset, extension, names):
    assert find_files(reader, f"{asset}/", extension) == [f"{asset}/{name}" for name in names]


def test_an_address_that_is_the_file_itself_is_found(reader, asset):
    assert find_files(reader, f"{asset}/x.nwb.zarr/", ".zarr") == [f"{asset}/x.nwb.zarr"]


def test_what_cannot_be_searched_says_why(reader, tmp_path):
    with pytest.raises(InputError, match="cannot be searched over http"):
        find_files(reader, "https://host/asset", ".nwb")
    with pytest.raises(InputError, match="cannot be searched: No such file"):
        find_files(reader, (tmp_path / "nothing").as_uri(), ".nwb")
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    with pytest.raises(InputError, match="More than 2 folders are under"):
        find_files(replace(reader, max_folders=2), tmp_path.as_uri(), ".nwb")


def test_links_to_folders_are_not_followed(reader, tmp_path):
    (tmp_path / "asset").mkdir()
    (tmp_path / "asset" / "loop").symlink_to(tmp_path)
    assert find_files(reader, (tmp_path / "asset").as_uri(), ".nwb") == []


def test_an_address_where_something_is_exists(reader, asset):
    for name in ("", "/", "/a.nwb", "/deep", "/x.nwb.zarr/"):
        check_exists(reader, f"{asset}{name}")
    check_exists(reader, "https://host/file.nwb")


@pytest.mark.parametrize("name", ["/b.nwb", "/dee", "-other"])
def test_an_address_where_nothing_is_does_not_exist(reader, asset, name):
    with pytest.raises(InputError, match=r"Nothing is at .* \(yet\)"):
        check_exists(reader, f"{asset}{name}")


def test_a_whole_bucket_may_be_an_asset(reader, asset):
    check_exists(reader, f"s3://{BUCKET}")


def test_faults_of_one_address_hold_up_no_other_and_all_progress_is_reported():
    reported = []

    faults = {"b": InputError("gone"), "c": SettingsError("no credentials")}

    def look(url):
        if url in faults:
            raise faults[url]
        return url.upper()

    found = look_at(["a", "b", "c", "d"], look, what="Looking", progress=lambda *step: reported.append(step), threads=2)
    assert (found["a"], str(found["b"]), str(found["c"]), found["d"]) == ("A", "gone", "no credentials", "D")
    assert reported == [("Looking", done, 4) for done in range(1, 5)]


def test_many_addresses_are_looked_at_at_once():
    together = threading.Barrier(8, timeout=10)
    look_at([str(i) for i in range(8)], lambda _: together.wait(), what="x", progress=lambda *_: None, threads=8)


def test_which_server_has_a_bucket_is_queried_once(s3):
    requested = []

    def note(**_):
        requested.append(1)

    reader = LookingReader.of(replace(Inputs(s3=s3, input_unsigned=True).reader, max_folders=7))
    s3.client.meta.events.register("before-call.s3.HeadBucket", note)
    try:
        for key in ("a", "b"):
            assert not find_files(reader, f"s3://{BUCKET}/nothing/{key}", ".nwb")
    finally:
        s3.client.meta.events.unregister("before-call.s3.HeadBucket", note)
    assert (len(requested), reader.input_unsigned, reader.max_folders) == (1, True, 7)


def test_a_server_that_does_not_answer_ends_the_look():
    away = ServerUnavailableError("away")

    def look(_):
        raise away

    with pytest.raises(ServerUnavailableError, match="away"):
        look_at(["a", "b"], look, what="x", progress=lambda *_: None)
