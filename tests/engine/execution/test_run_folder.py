"""The folder of a run is judged by its lock: runs on other hosts and in containers keep theirs, dead runs lose theirs."""

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from domain.job.state import JobState
from engine.execution.run_folder import UNJUDGED_S, RunFolder, lock_file, safe_name
from tests.engine.execution.runs import folders_of_runs, killable
from tests.unmeasured import unmeasured_environment
from tests.waiting import PATIENCE_S, wait_for

NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
HOLD = """
import sys, time
from pathlib import Path
from engine.execution.run_folder import RunFolder
folder = RunFolder(Path(sys.argv[1]), host=sys.argv[2])
folder.create()
print(folder.path, flush=True)
time.sleep(600)
"""
MANY = """
import sys
from pathlib import Path
from engine.execution.run_folder import RunFolder
for number in range(150):
    folder = RunFolder(Path(sys.argv[1]), host="h")
    folder.create()
    (folder.path / "file").write_text("x")
    assert (folder.path / "file").read_text() == "x"
    folder.remove()
"""


def python(code, *words, **options):
    """Start a program in a process of its own."""
    root = Path(__file__).parents[3]
    environment = {**unmeasured_environment(), "PYTHONPATH": str(root)}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], env=environment, cwd=root, **options)


@contextmanager
def held(scratch, host):
    """Let another process have a folder; gives the process and the folder."""
    with python(HOLD, scratch, host, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


@pytest.fixture
def namespaces():
    """Skip where this user cannot make process id namespaces, as containers have."""
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no process id namespaces here")


@pytest.mark.slow
def test_a_run_in_another_container_does_not_remove_the_folder_of_this_one(misbehave, docdb_uri, home, namespaces):
    here, there = misbehave.ingest({"number": 1}, {"number": 2})
    with misbehave.batch() as batch:
        (mine,) = folders_of_runs(misbehave)
        assert killable(misbehave, [there], docdb_uri, home, command=NAMESPACE).wait(PATIENCE_S) == 0
        assert folders_of_runs(misbehave) == [mine]
        ((outcome,),) = batch.outcomes([here])
    assert outcome.kind == "computed"
    assert misbehave.job(there).state is JobState.DONE
    assert folders_of_runs(misbehave) == []


@pytest.mark.slow
def test_a_run_that_is_process_1_removes_what_a_killed_one_left(misbehave, docdb_uri, home, namespaces):
    first, second = misbehave.ingest({"mode": "sleep", "seconds": 60}, {"number": 2})
    killed = killable(misbehave, [first], docdb_uri, home, command=NAMESPACE)
    (folder,) = wait_for(lambda: folders_of_runs(misbehave), "the run did not begin")
    killed.kill()
    killed.wait(PATIENCE_S)
    wait_for(lambda: is_free(lock_file(folder)), "the run did not end with its container")
    assert killable(misbehave, [second], docdb_uri, home, command=NAMESPACE).wait(PATIENCE_S) == 0
    assert folders_of_runs(misbehave) == []


def test_workers_do_not_hold_the_lock_of_their_run(misbehave):
    (key,) = misbehave.ingest({"mode": "sleep", "seconds": 30})
    with misbehave.batch() as batch:
        threading.Thread(target=lambda: list(batch.outcomes([key]))).start()
        (folder,) = folders_of_runs(misbehave)
        worker = wait_for(lambda: next(folder.glob("*/pid"), None), "the job did not begin")
        pid = int(wait_for(worker.read_text, "the worker did not say which it is"))
        assert lock_file(folder) not in open_files(pid)
        assert lock_file(folder) in open_files(os.getpid())


def open_files(pid):
    """Give what a process has open."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(file.readlink())
    return found


def is_free(file):
    """Give whether no process holds a lock."""
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_is_kept(tmp_path):
    with held(tmp_path, "h") as (dead, left), held(tmp_path, "h") as (_, alive):
        (left / "deep").mkdir()
        dead.kill()
        dead.wait()
        mine = RunFolder(tmp_path, host="h")
        mine.create()
        assert not left.exists()
        assert not lock_file(left).exists()
        assert alive.is_dir()
        mine.remove()
        assert sorted(alive.parent.iterdir()) == sorted([alive, lock_file(alive)])


def test_hosts_that_share_a_folder_never_judge_each_other(tmp_path):
    with held(tmp_path, "other") as (process, left):
        process.kill()
        process.wait()
        mine = RunFolder(tmp_path, host="h")
        mine.create()
        mine.remove()
        assert left.is_dir()


def test_processes_that_create_and_judge_at_once_keep_their_folders(tmp_path):
    started = [python(MANY, tmp_path) for _ in range(4)]
    assert [process.wait(PATIENCE_S) for process in started] == [0] * 4
    assert list((tmp_path / "h").iterdir()) == []


def test_what_cannot_be_removed_keeps_its_lock_file_for_a_later_run(tmp_path):
    folder = RunFolder(tmp_path, host="h")
    folder.create()
    folder.path.rmdir()
    folder.path.write_text("not a folder")  # so that removing it fails, also for a user who may everything
    folder.remove()
    assert lock_file(folder.path).exists()
    RunFolder(tmp_path, host="h").create()
    assert lock_file(folder.path).exists()
    folder.path.unlink()
    RunFolder(tmp_path, host="h").create()
    assert not lock_file(folder.path).exists()


def test_folders_without_a_lock_are_removed_when_they_are_old(tmp_path):
    old_form = [tmp_path / f"{pid}-{'ab' * 16}" for pid in (1, os.getpid())]
    made = [*old_form, tmp_path / "h" / "unlocked", tmp_path / "some-thing", tmp_path / "other" / "unlocked"]
    for folder in made:
        (folder / "deep" / "deeper").mkdir(parents=True)
    for folder in made:
        os.utime(folder, (1, 1))
    RunFolder(tmp_path, host="h").create()
    assert all(folder.is_dir() for folder in made), "something was done in them just now"
    for folder in made:
        os.utime(folder / "deep", (1, time.time() - UNJUDGED_S - 60))
    RunFolder(tmp_path, host="h").create()
    assert [folder for folder in made if folder.is_dir()] == made[3:]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_on_a_disk_without_locks_others_keep_their_folders(tmp_path, monkeypatch, caplog, number):
    def no_locks(*_):
        raise OSError(number, os.strerror(number))

    with held(tmp_path, "h") as (process, left):
        process.kill()
        process.wait()
        monkeypatch.setattr("fcntl.flock", no_locks)
        folders = [RunFolder(tmp_path, host="h") for _ in range(2)]
        for folder in folders:
            folder.create()
            assert not lock_file(folder.path).exists(), "a run that can lock it would take this one for dead"
        monkeypatch.undo()
        assert left.is_dir()
        RunFolder(tmp_path, host="h").create()
        assert [f.path.is_dir() for f in folders] == [True, True]
        assert not left.exists()
    assert len(re.findall("cannot be locked", caplog.text)) == 1
    folders[0].remove()
    assert not folders[0].path.exists()


def test_a_lock_file_that_is_replaced_or_gone_is_not_judged(tmp_path, monkeypatch):
    real, removed = fcntl.flock, []

    def judged_meanwhile(lock, how):
        """Do what another run does between opening and locking."""
        if not removed:
            removed.append(path := Path(f"/proc/self/fd/{lock}").readlink())
            path.unlink()
        real(lock, how)

    monkeypatch.setattr("fcntl.flock", judged_meanwhile)
    folder = RunFolder(tmp_path, host="h")
    folder.create()
    assert removed == [lock_file(folder.path)]
    assert lock_file(folder.path).exists()
    folder.remove()
    removed.clear()
    with held(tmp_path, "h") as (process, left):
        process.kill()
        process.wait()
        RunFolder(tmp_path, host="h").create()
        assert left.is_dir(), "another run removes it"


def test_a_lock_file_that_cannot_be_opened_is_left_alone(tmp_path):
    (tmp_path / "h" / "x.lock").mkdir(parents=True)
    RunFolder(tmp_path, host="h").create()
    assert (tmp_path / "h" / "x.lock").is_dir()


@pytest.mark.parametrize("host", ["node1.lab.org", "9f2c", "node-1_b"])
def test_an_ordinary_host_name_is_the_name_of_its_folder(host):
    assert safe_name(host) == host


def test_other_host_names_are_safe_and_differ():
    hosts = ["", ".", "..", "../x", "a/b", "a_b ", "a b", "é", "x" * 300, "x" * 301, "-"]
    names = [safe_name(host) for host in hosts]
    assert len(set(names)) == len(hosts)
    assert all(re.fullmatch(r"[A-Za-z0-9_]{0,50}-[0-9a-f]{8}", name) for name in names)


def test_a_signal_that_ends_the_process_frees_the_folder(tmp_path):
    with held(tmp_path, "h") as (process, left):
        process.send_signal(signal.SIGTERM)
        process.wait()
        RunFolder(tmp_path, host="h").create()
        assert not left.exists()
