"""The supervisor, run inside the test: it owns the folder, watches its servers, and goes with its users."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from domain.errors import ServerUnavailableError, SettingsError
from resources.embedded import embedded, supervisor
from resources.settings import PROJECT_ROOT
from tests.waiting import PATIENCE_S, wait_for


class Run:
    """A supervisor in a thread, and one user."""

    def __init__(self, home, *, in_use=supervisor.has_users):
        self.home, self.ready, self.stop, self.errors = home, threading.Event(), threading.Event(), []
        self.in_use = in_use
        self.user = embedded.registered_user(home)
        self.user.__enter__()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            supervisor.supervise(self.home, ready=self.ready.set, stop=self.stop, in_use=self.in_use)
        except (SettingsError, ServerUnavailableError) as error:
            self.errors.append(error)

    def leave(self):
        """End the user, and with it the supervisor."""
        self.user.__exit__(None, None, None)
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def run(tmp_path):
    """Supervise a folder until the test ends."""
    run = Run(tmp_path)
    assert run.ready.wait(PATIENCE_S)
    yield run
    run.stop.set()
    run.leave()


def test_it_runs_its_servers_until_the_last_user_leaves(tmp_path):
    run = Run(tmp_path)
    assert run.ready.wait(PATIENCE_S)
    pids = embedded.server_pids(tmp_path)
    assert embedded.running(tmp_path) is not None
    run.leave()
    assert not any(psutil.pid_exists(pid) for name, pid in pids.items() if name != "supervisor")
    assert not (tmp_path / "servers.json").exists()


def test_a_server_that_dies_is_started_again_and_announced(run):
    time.sleep(1)  # one that dies at once waits for a moment
    old = embedded.server_pids(run.home)["browse"]
    psutil.Process(old).kill()
    wait_for(lambda: embedded.server_pids(run.home).get("browse", old) != old, "it is not started again")


def test_a_second_supervisor_lets_the_first_one_serve(run):
    ready = threading.Event()
    supervisor.supervise(run.home, ready=ready.set, stop=threading.Event())
    assert ready.is_set()
    assert embedded.running(run.home) is not None


def test_a_user_that_comes_at_the_last_moment_keeps_the_servers(tmp_path):
    answers = []
    run = Run(tmp_path, in_use=lambda home: answers.pop() if answers else supervisor.has_users(home))
    assert run.ready.wait(30)
    answers.append(False)
    time.sleep(0.5)
    assert answers == []  # it found no users for a moment
    assert embedded.running(tmp_path) is not None
    run.leave()


def test_a_folder_owned_by_a_silent_process_is_reported(tmp_path):
    with (tmp_path / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ServerUnavailableError, match="Another process owns"):
            supervisor.supervise(tmp_path, ready=list, stop=threading.Event(), lock_s=0.1)


def test_a_disk_without_locks_is_reported(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(SettingsError, match=r"cannot be locked.*local disk"):
        supervisor.supervise(tmp_path, ready=list, stop=threading.Event())


def test_the_files_of_users_that_ended_are_swept_away(tmp_path):
    (tmp_path / "users").mkdir()
    old, young = tmp_path / "users" / "old", tmp_path / "users" / "young"
    for path in (old, young):
        path.touch()
    os.utime(old, (1, 1))
    assert supervisor.has_users(tmp_path)  # the young one may be about to be locked
    assert embedded.users(tmp_path) == [young]
    os.utime(young, (1, 1))
    assert not supervisor.has_users(tmp_path)
    assert not supervisor.is_alive(young)


def test_servers_left_over_are_ended_and_strangers_are_not(tmp_path):
    sleep = "import time; print('on', flush=True); time.sleep(60)"
    with (
        subprocess.Popen([sys.executable, "-c", sleep, str(tmp_path / "mongo")], stdout=subprocess.PIPE) as ours,
        subprocess.Popen([sys.executable, "-c", sleep], stdout=subprocess.PIPE) as stranger,
    ):
        for process in (ours, stranger):
            process.stdout.readline()  # a process that has only just begun has no command line yet
        state = {"addresses": {}, "pids": {"mongo": ours.pid, "s3": stranger.pid, "browse": 2**22 + 1}}
        (tmp_path / "servers.json").write_text(json.dumps(state))
        supervisor.end_leftovers(tmp_path)
        left = [psutil.pid_exists(process.pid) for process in (ours, stranger)]
        stranger.kill()
        assert left == [False, True]
    assert embedded.read_state(tmp_path) is None


def test_a_left_over_server_that_will_not_end_is_killed(tmp_path):
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", stubborn, str(tmp_path / "mongo")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        (tmp_path / "servers.json").write_text(json.dumps({"addresses": {}, "pids": {"mongo": process.pid}}))
        supervisor.end_leftovers(tmp_path, stop_s=0.2)
        assert process.wait(PATIENCE_S) == -9


def test_the_command_answers_once_the_servers_run_and_stays_in_the_background(tmp_path):
    with embedded.registered_user(tmp_path):
        command = [sys.executable, "-m", "resources.embedded.supervisor", str(tmp_path)]
        done = subprocess.run(
            command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "ready", "")
        pid = embedded.server_pids(tmp_path)["supervisor"]
        assert os.getpgid(pid) != os.getpgid(0)  # control-C in this terminal does not reach it
        psutil.Process(pid).terminate()  # but a signal of its own ends it, cleanly
        psutil.Process(pid).wait(30)
        assert embedded.running(tmp_path) is None
