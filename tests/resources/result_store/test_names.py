"""Names of results and their files are checked before any of them becomes part of a key."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import OutputError
from resources.result_store.names import check_paths, check_result, is_attempt, key_of, split_location

RESULT = "0123456789abcdef" * 4
ATTEMPT = "1c9dd8a6-3a38-4d5e-9d6a-0f6a3f9a7b11"
LOCATION = f"s3://bucket/pre/fix/{RESULT}/{ATTEMPT}"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "absolute or empty"),
        ("/etc/passwd", "absolute"),
        ("../up", "one that is"),
        ("a/../../up", "one that is"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("./a", "one that is"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\x85b", "control character"),
        ("a\ufffeb", "control character"),
        ("x" * 256, "more than 255 bytes"),
        ("d/" + "é" * 128, "more than 255 bytes"),
        (os.fsdecode(b"\xff.txt"), "not Unicode text"),
        ("a/.rclone_temp_put_1", "embedded S3 hides"),
    ],
)
def test_names_that_some_server_cannot_store_are_refused(name, fault):
    with pytest.raises(OutputError, match=fault):
        check_paths(["fine.txt", name])


def test_a_file_that_is_also_a_folder_is_refused():
    with pytest.raises(OutputError, match="'a/b' is a file and also a folder"):
        check_paths(["a/b/c", "a/b", "a/bc"])


def test_every_fault_is_named_up_to_ten():
    with pytest.raises(OutputError, match=r"'//0'.*'//4'.* and 2 more\. Rename") as error:
        check_paths([f"//{i}" for i in range(12)])
    assert str(error.value).count("absolute") == 10


def test_ordinary_names_pass():
    check_paths(["a.txt", "a b+c%2F.txt", "é.txt", "deep/er/x.nwb.zarr/.zgroup", "x" * 255, "back\\slash", "a.txt"])


@given(st.text(max_size=40))
def test_a_name_that_passes_is_a_path_below_its_folder(name):
    try:
        check_paths([name])
    except OutputError:
        return
    normal = os.path.normpath(f"/top/{name}")
    assert normal == f"/top/{name}"
    assert "\0" not in name
    name.encode()


def test_a_location_is_split():
    assert split_location(LOCATION) == ("bucket", f"pre/fix/{RESULT}/{ATTEMPT}")
    assert split_location(f"s3://b/{RESULT}/{ATTEMPT}") == ("b", f"{RESULT}/{ATTEMPT}")
    assert key_of(LOCATION, "a/b.txt") == ("bucket", f"pre/fix/{RESULT}/{ATTEMPT}/a/b.txt")


@pytest.mark.parametrize(
    "location",
    [
        "",
        "s3://",
        "s3://bucket",
        f"s3://{RESULT}",
        f"s3://bucket/{RESULT}",
        f"s3://bucket/{RESULT}/../x",
        f"s3://bucket/../{RESULT}/{ATTEMPT}",
        f"s3://bucket//{RESULT}/{ATTEMPT}",
        f"s3:///{RESULT}/{ATTEMPT}",
        f"file://bucket/{RESULT}/{ATTEMPT}",
        f"{LOCATION}/",
        LOCATION.upper(),
    ],
)
def test_text_that_is_not_a_location_is_refused(location):
    with pytest.raises(OutputError, match="Not a result's location"):
        split_location(location)


def test_ids_and_attempts_have_one_form():
    check_result(RESULT, ATTEMPT)
    check_result(RESULT, ATTEMPT.replace("-", ""))
    with pytest.raises(OutputError, match="Not a result's id"):
        check_result(f"{RESULT}\n")
    with pytest.raises(OutputError, match="Not an attempt"):
        check_result(RESULT, "../../other")
    assert not is_attempt(f"{ATTEMPT}x")


def test_a_key_that_is_too_long_is_refused():
    with pytest.raises(OutputError, match="longer than 1024 bytes"):
        key_of(LOCATION, "/".join(["x" * 200] * 5))
