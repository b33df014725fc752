"""Starting Dagster's processes so that they end with the command: shown with a process that is no Dagster."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from cli.dagster_processes import dagster_process, free_port, interruptible
from domain.errors import ServerUnavailableError
from resources.settings import PROJECT_ROOT, Settings
from tests.waiting import wait_for

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, *sys.argv[1:], flush=True)
time.sleep(60)
"""


@pytest.fixture
def settings(tmp_path):
    """Give settings with a new folder."""
    return Settings(analysis_home=tmp_path)


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_process_and_what_it_started_end_with_the_context(settings, tmp_path, stubborn):
    program = PARENT
    if stubborn:
        program = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + program
    log = tmp_path / "log"
    workspace = tmp_path / "w.yaml"
    with dagster_process(settings, ["-c", program], log=log, workspace=workspace, stop_s=0.5) as process:
        words = wait_for(lambda: log.exists() and log.read_text(encoding="utf-8").split(), "the process says nothing")
        assert words[1:] == ["-w", str(workspace)]
        assert not gone(int(words[0]))
    assert process.returncode is not None
    wait_for(lambda: gone(int(words[0])), "its child still runs")


def test_a_process_that_has_ended_already_is_not_a_fault(settings, tmp_path):
    with dagster_process(settings, ["-c", "pass"], log=tmp_path / "log") as process:
        process.wait()
    assert process.returncode == 0


def test_a_process_ends_when_its_parent_is_killed(tmp_path):
    code = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from cli.dagster_processes import dagster_process
        from resources.settings import Settings
        with dagster_process(Settings(analysis_home=Path({str(tmp_path)!r})), ["-c", "import time; time.sleep(60)"]) as p:
            print(p.pid, flush=True)
            time.sleep(60)
        """
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
        wait_for(lambda: gone(pid), "it outlived its parent")


def test_a_port_that_is_taken_is_replaced():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert free_port(port) not in {0, port}
    assert free_port(port) == port


def test_without_any_port_the_reason_is_said(monkeypatch):
    def no_bind(*_):
        raise OSError

    monkeypatch.setattr(socket.socket, "bind", no_bind)
    with pytest.raises(ServerUnavailableError, match=r"No port of 127\.0\.0\.1 is free"):
        free_port(3000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_interrupts_a_command_in_good_order(number):
    before = signal.getsignal(number)

    def command():
        with interruptible():
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        command()
    assert signal.getsignal(number) == before
