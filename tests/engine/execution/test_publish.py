"""From a folder to a published result: which files count, and what a manifest says about them."""

import hashlib
import os

import pytest

from domain.errors import OutputError
from engine.execution.publish import build_manifest, listing_digest, manifest_of, result_files, upload
from resources.result_store.stored_file import StoredFile

RESULT, ATTEMPT = "ab" * 32, "7d0c3f5e-5d1a-4b7e-9a68-0d7f0a2a8c11"


@pytest.fixture
def folder(tmp_path):
    """Give a results folder with some files, beside a log."""
    made = tmp_path / "results"
    (made / "deep" / "er").mkdir(parents=True)
    (made / "empty").mkdir()
    (made / "b.txt").write_bytes(b"bb")
    (made / "deep" / "er" / "a.txt").write_bytes(b"a")
    (made / "deep" / "manifest.json").write_bytes(b"{}")
    (tmp_path / "analysis.log").write_bytes(b"logged")
    return made


@pytest.fixture
def log(folder):
    return folder.parent / "analysis.log"


FILES = ["b.txt", "deep/er/a.txt", "deep/manifest.json"]


def test_files_are_listed_at_any_depth_and_empty_folders_are_left_out(folder):
    assert result_files(folder) == FILES


def test_an_analysis_may_write_no_files(tmp_path):
    assert result_files(tmp_path) == []


@pytest.mark.parametrize("name", ["manifest.json", "metadata.nd.json", "analysis.log"])
def test_names_of_the_platforms_own_files_are_refused(folder, name):
    (folder / name).write_bytes(b"")
    with pytest.raises(OutputError, match=f"wrote `{name}`, a name that the platform keeps"):
        result_files(folder)


@pytest.mark.parametrize("target", ["/etc/hostname", "b.txt", "deep", "nowhere"])
def test_links_are_refused(folder, target):
    (folder / "link").symlink_to(target)
    with pytest.raises(OutputError, match="wrote `link`, which is not an ordinary file"):
        result_files(folder)


def test_pipes_are_refused(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(OutputError, match="wrote `pipe`, which is not an ordinary file"):
        result_files(folder)


def test_a_manifest_lists_every_file_with_size_and_digest(folder, log):
    manifest = build_manifest(folder, FILES, log=log)
    assert manifest["files"][0] == {"path": "b.txt", "bytes": 2, "sha256": hashlib.sha256(b"bb").hexdigest()}
    assert [f["path"] for f in manifest["files"]] == FILES
    assert [f["path"] for f in manifest["logs"]] == ["analysis.log"]


def test_the_digest_covers_files_and_not_the_log(folder, log):
    before = build_manifest(folder, FILES, log=log)
    log.write_bytes(b"something else")
    assert build_manifest(folder, FILES, log=log)["sha256"] == before["sha256"]
    (folder / "b.txt").write_bytes(b"bc")
    assert build_manifest(folder, FILES, log=log)["sha256"] != before["sha256"]


def test_everything_is_uploaded_with_the_log(folder, log, results_store):
    location = results_store.location(RESULT, ATTEMPT)
    stored = upload(results_store, location, folder, FILES, log=log)
    assert sorted(stored, key=lambda f: f.path) == results_store.list_files(location)
    assert [f.path for f in stored] == [*FILES, "analysis.log"]


def test_a_name_that_cannot_be_stored_is_refused_before_anything_is_uploaded(folder, log, results_store):
    (folder / "a\nb").write_bytes(b"")
    location = results_store.location(RESULT, ATTEMPT)
    with pytest.raises(OutputError, match="holds a control character"):
        upload(results_store, location, folder, result_files(folder), log=log)
    assert results_store.list_files(location) == []


def test_a_listing_is_the_same_in_any_order_and_without_the_platforms_files():
    files = [StoredFile("a", 1, "x"), StoredFile("b", 2, "y")]
    digest = listing_digest(files)
    assert listing_digest([StoredFile("metadata.nd.json", 9, "z"), *files[::-1]]) == digest
    for other in (StoredFile("a", 2, "x"), StoredFile("a", 1, "z"), StoredFile("c", 1, "x")):
        assert listing_digest([other, files[1]]) != digest


def test_the_manifest_of_what_was_uploaded_is_that_of_the_files(folder, log, results_store):
    stored = upload(results_store, results_store.location(RESULT, ATTEMPT), folder, FILES, log=log)
    assert manifest_of(stored, log=log) == build_manifest(folder, FILES, log=log)
