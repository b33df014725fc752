"""Entries that only a folder can contain: links, pipes, names that are not text, and errors of a disk."""

import errno
import os
import time
from contextlib import nullcontext

import pytest

from domain.errors import JobFileError, ServerUnavailableError, SettingsError
from resources.inbox.folder import FolderInbox

NAME = "mean_rate"


@pytest.fixture
def folder(folder_inbox, tmp_path):
    """Give the folder of one analysis."""
    path = tmp_path / "inbox" / NAME
    path.mkdir()
    return path


def problems(inbox):
    return {file.name: file.problem for file in inbox.list_files(NAME)}


def test_links_are_reported_and_never_followed(folder_inbox, folder, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.json").write_text("{}")
    (folder / "a.json").symlink_to(secret)
    (folder / "dangling.json").symlink_to(tmp_path / "nothing")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "notes.txt").symlink_to(secret)
    found = problems(folder_inbox)
    assert sorted(found) == ["a.json", "dangling.json", "linked"]
    assert all("symbolic link" in problem for problem in found.values())
    for name in ("a.json", "dangling.json", "linked/b.json"):
        with pytest.raises(JobFileError, match="links are never followed"):
            folder_inbox.read(NAME, name)
    with pytest.raises(JobFileError, match="cannot be written"):
        folder_inbox.write(NAME, "linked/c.json", b"{}")
    folder_inbox.write(NAME, "a.json", b"[]")  # takes the place of the link, not of what it leads to
    assert secret.read_text() == "{}"


def test_a_linked_analysis_folder_is_refused(folder_inbox, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "inbox" / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="is a symbolic link"):
        folder_inbox.list_files(NAME)


def test_pipes_and_folders_are_not_files(folder_inbox, folder):
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.json").mkdir()
    (folder / "folder.json" / "in.json").write_text("{}")
    assert problems(folder_inbox) == {"folder.json/in.json": None, "pipe.json": "is not a regular file"}
    for name in ("pipe.json", "folder.json"):
        with pytest.raises(JobFileError, match=r"not a regular file|Is a directory"):
            folder_inbox.read(NAME, name)


def test_linked_fixed_parameters_are_refused(folder_inbox, folder, tmp_path):
    (tmp_path / "p.json").write_text("{}")
    (folder / "analysis_parameters.json").symlink_to(tmp_path / "p.json")
    assert folder_inbox.fixed_fingerprint(NAME)
    with pytest.raises(JobFileError, match="links are never followed"):
        folder_inbox.read_fixed_parameters(NAME)


def test_names_that_are_not_text_work(folder_inbox, folder):
    (folder / os.fsdecode(b"\xff\xfe.json")).write_text("1")
    (folder / "\udcff?.json").write_text("2")
    assert list(problems(folder_inbox)) == ["%FF%FE.json", "%FF?.json"]
    assert folder_inbox.read(NAME, "%FF%FE.json") == b"1"
    assert folder_inbox.url(NAME, "%FF?.json").endswith(f"/{NAME}/%FF%3F.json")


def test_a_file_being_written_is_not_seen_and_leaves_nothing_when_it_fails(folder_inbox, folder, monkeypatch):
    seen = []

    def fail(_):
        seen.extend(path.name for path in folder.iterdir())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(JobFileError, match="No space left"):
        folder_inbox.write(NAME, "a.json", b"{}")
    assert len(seen) == 1
    assert not seen[0].endswith(".json")
    assert list(folder.iterdir()) == []


def test_a_name_that_is_too_long_is_refused(folder_inbox, folder):
    with pytest.raises(JobFileError, match="too long"):
        folder_inbox.write(NAME, "x" * 300 + ".json", b"{}")
    with pytest.raises(JobFileError, match="too long"):
        folder_inbox.read(NAME, "x" * 300 + ".json")


def test_a_missing_inbox_is_an_error_and_never_an_empty_one(folder_inbox, folder, tmp_path):
    (tmp_path / "inbox").rename(tmp_path / "gone")
    for act in (folder_inbox.list_files, folder_inbox.fixed_fingerprint, folder_inbox.read_fixed_parameters):
        with pytest.raises(SettingsError, match=r"The job inbox .* cannot be used: .*No such file.*JOB_INBOX"):
            act(NAME)


def test_an_inbox_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "inbox").touch()
    inbox = FolderInbox(tmp_path / "inbox")
    for act in (inbox.ensure, lambda: list(inbox.pages(NAME)), lambda: inbox.look_at(NAME, "a.json")):
        with pytest.raises(SettingsError, match="JOB_INBOX"):
            act()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_an_error(folder_inbox, folder):
    (folder / "0").mkdir(mode=0)
    with pytest.raises(SettingsError, match="Permission denied"):
        folder_inbox.list_files(NAME)


def test_a_disk_in_trouble_is_transient(folder_inbox, folder, monkeypatch):
    (folder / "a.json").write_text("{}")
    (folder / "0").mkdir()
    scandir, opened = os.scandir, os.open

    def fail(path, *args, **kwargs):
        if str(path).endswith(("/0", "a.json")):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return (opened if args else scandir)(path, *args, **kwargs)

    monkeypatch.setattr("os.scandir", fail)
    monkeypatch.setattr("os.open", fail)
    for act in (lambda: folder_inbox.list_files(NAME), lambda: folder_inbox.read(NAME, "a.json")):
        with pytest.raises(ServerUnavailableError, match=r"Input/output error.*JOB_INBOX"):
            act()


def test_folders_and_files_that_vanish_meanwhile_are_passed_over(folder_inbox, folder, monkeypatch):
    for name in ("a.json", "b.json"):
        (folder / name).write_text("{}")
    (folder / "0").mkdir()
    scandir = os.scandir

    def racing(path):
        if str(path).endswith("/0"):
            (folder / "0").rmdir()
        return scandir(path)

    monkeypatch.setattr("os.scandir", racing)
    assert list(problems(folder_inbox)) == ["a.json", "b.json"]


def test_a_file_that_vanishes_while_its_folder_is_listed_is_passed_over(folder_inbox, folder, monkeypatch):
    for name in ("a.json", "b.json"):
        (folder / name).write_text("{}")
    scandir = os.scandir

    def racing(path):
        if path != folder:
            return scandir(path)
        with scandir(path) as entries:
            listed = list(entries)
        (folder / "a.json").unlink()
        return nullcontext(listed)

    monkeypatch.setattr("os.scandir", racing)
    assert list(problems(folder_inbox)) == ["b.json"]


def test_ten_thousand_files_are_listed_in_no_time(folder_inbox, folder):
    for number in range(10):
        (folder / str(number)).mkdir()
        for file in range(1000):
            (folder / str(number) / f"{file:04}.json").touch()
    began = time.process_time()
    assert len(folder_inbox.list_files(NAME)) == 10_000
    assert time.process_time() - began < 2  # about 0.1 s when the machine is idle
