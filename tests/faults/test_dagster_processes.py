"""Dagster's own daemon over an inbox: daemon, code server and run worker are killed, and the daemon started again."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager, nullcontext, suppress

import psutil
import pytest

from cli.dagster_processes import dagster_process
from domain.errors import ServerUnavailableError
from domain.job.state import JobState
from tests.faults import sizes
from tests.faults.child import LAB
from tests.faults.injection import Fault
from tests.faults.sizes import SLOW_S
from tests.faults.test_killed_processes import SENSOR
from tests.lab_workspace import write_workspace
from tests.waiting import wait_for

DAEMON = (1, "Dagster's daemon killed while jobs are running")
MACHINE = (6, "daemon, code server and run worker killed together")
CODE_SERVER = (2, "Dagster's code server killed while jobs are running")
RUN_WORKER = (3, "Dagster's run worker killed in user code")
IN_TICK = (4, "daemon or code server killed at a step of the sensor")
TWO_DAEMONS = (5, "two Dagster daemons on one inbox")
JOBS = range(8)
TARGETS = {"daemon": DAEMON, "code server": CODE_SERVER, "run worker": RUN_WORKER, "all of them": MACHINE}


@contextmanager
def daemon_over(stage):
    """Run Dagster's daemon over a stage."""
    words = ["-m", "dagster._daemon", "run"]
    workspace = write_workspace(stage.folder, lab=LAB)
    with dagster_process(stage.settings, words, log=stage.folder / "daemon.log", workspace=workspace) as process:
        yield process


@pytest.fixture
def deployed(stage, monkeypatch):
    """Give a stage whose environment is this process's, and so that of every daemon."""
    for name, value in stage.environment.items():
        monkeypatch.setenv(name, value)
    return stage


def code_servers(daemon):
    """Return the code servers that a daemon has started."""
    found = []
    for process in psutil.Process(daemon.pid).children(recursive=True):
        with suppress(psutil.Error):
            if {"api", "grpc"} <= set(process.cmdline()):
                found.append(process.pid)
    return found


def victims(name, daemon, stage):
    """Return the processes of a name."""
    if name == "daemon":
        return [daemon.pid]
    if name == "code server":
        return code_servers(daemon)
    if name == "all of them":
        return [process.pid for process in psutil.Process(daemon.pid).children(recursive=True)] + [daemon.pid]
    return [psutil.Process(stage.marks()[-1][1]).ppid()]


def all_done(stage):
    """Return whether every job is done."""
    with suppress(ServerUnavailableError):
        return stage.ledger.jobs.counts(stage.name)[JobState.DONE] == len(stage.asked)
    return False


def dagster_knows(stage):
    """Return whether no run is unfinished any more."""
    return all(run.is_finished for run in stage.instance.get_runs())


def daemon_is_gone(daemon):
    """Return whether the daemon was killed just now."""
    with suppress(subprocess.TimeoutExpired):
        daemon.wait(1)
    return daemon.poll() is not None


def kill(pids):
    """Kill processes."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("victim", sizes.of(TARGETS, small=["daemon"]))
def test_dagsters_processes_may_be_killed_while_jobs_are_running(deployed, judge, victim):
    deployed.ask(*JOBS, seconds=SLOW_S)
    with daemon_over(deployed) as daemon:
        wait_for(lambda: len(deployed.marks()) >= 2, "the jobs did not begin")
        kill(victims(victim, daemon, deployed))
        began = time.monotonic()
        with daemon_over(deployed) if daemon_is_gone(daemon) else nullcontext():
            finish(deployed)
    state = judge(TARGETS[victim], deployed, injected=1, seconds=time.monotonic() - began, slow=SLOW_S)
    assert state.extra <= 4


@pytest.mark.slow
@pytest.mark.skipif(not sizes.FULL, reason="takes minutes: make test-faults")
@pytest.mark.parametrize("victim", ["daemon", "code server"])
@pytest.mark.parametrize("step", ["store jobs", "count the request"])
def test_dagsters_processes_may_be_killed_at_a_step_of_the_sensor(deployed, lab, judge, victim, step):
    deployed.ask(*JOBS, seconds=SLOW_S)
    fault = Fault(SENSOR[step], "after", act=lambda: kill(victims(victim, daemon, deployed)))
    lab.injection.arm(fault)
    with daemon_over(deployed) as daemon:
        wait_for(lambda: fault.struck, "the step was not reached")
        began = time.monotonic()
        with daemon_over(deployed) if daemon_is_gone(daemon) else nullcontext():
            finish(deployed)
    state = judge(IN_TICK, deployed, injected=1, seconds=time.monotonic() - began, slow=SLOW_S)
    assert state.extra == 0


@pytest.mark.slow
@pytest.mark.skipif(not sizes.FULL, reason="takes minutes: make test-faults")
def test_two_daemons_on_one_inbox_execute_each_job_once(deployed, lab, judge):
    other = lab.stage(beside=deployed)
    deployed.ask(*JOBS, seconds=SLOW_S)
    began = time.monotonic()
    with daemon_over(deployed), daemon_over(other):
        finish(deployed)
        wait_for(lambda: dagster_knows(other), "a run of the other daemon does not end")
    seconds = time.monotonic() - began
    for platform in (deployed, other):
        platform.settle()
    state = judge(TWO_DAEMONS, deployed, injected=1, seconds=seconds, slow=SLOW_S, beside=other)
    assert state.extra == 0
    other.close()


def finish(stage):
    """Wait until all jobs are done and their runs have ended."""
    wait_for(lambda: all_done(stage), "not all jobs are done", moving=stage.progress)
    wait_for(lambda: dagster_knows(stage), "a run does not end", moving=stage.progress)
