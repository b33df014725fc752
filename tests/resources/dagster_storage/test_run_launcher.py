"""Runs whose process is gone end, whichever Dagster job they are of; real code servers, and Dagster's own run monitoring."""

import gc
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time

import dagster as dg
import psutil
import pytest
from dagster._core.test_utils import create_run_for_test, create_test_daemon_workspace_context
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from definitions import build_defs
from engine.assets.runs import limited
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.dagster_storage.run_launcher import HOST_TAG, PROCESS_TAG, WatchedRunLauncher
from resources.process import host_name, process_token
from resources.settings import PROJECT_ROOT, Settings
from tests.waiting import wait_for

STARTED, FAILURE, CANCELED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED
PLACE = """
import time
import dagster as dg

@dg.op
def sleep():
    time.sleep(600)

@dg.job
def sleeping():
    sleep()

defs = dg.Definitions(jobs=[sleeping])
"""


class Location:
    """A code location with one Dagster job, which no analysis is part of."""

    def __init__(self, instance, workspace):
        self.instance, self.workspace = instance, workspace

    def launch(self):
        """Launch a run and wait until it has started."""
        requests = self.workspace.create_request_context()
        (location,) = requests.code_locations
        (repository,) = location.get_repositories().values()
        job = repository.get_full_job("sleeping")
        run = create_run_for_test(
            self.instance,
            job_name="sleeping",
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
        )
        self.instance.launch_run(run.run_id, requests)
        wait_for(lambda: self.run(run.run_id).status is STARTED, "the run did not start")
        return run.run_id

    def run(self, run_id):
        """Read a run."""
        return self.instance.get_run_by_id(run_id)

    def monitor(self):
        """Let Dagster's run monitoring look once."""
        errors = [e for e in execute_run_monitoring_iteration(self.workspace, logging.getLogger("monitoring")) if e]
        assert errors == []

    def messages(self, run_id):
        """Give everything that was said of a run."""
        events = [entry.dagster_event for entry in self.instance.all_logs(run_id)]
        return " ".join(event.message or "" for event in events if event is not None)

    def process(self, run_id):
        """Give the process of a run, by what it reported."""
        self.monitor()
        return psutil.Process(json.loads(self.run(run_id).tags[PROCESS_TAG])[0])


@pytest.fixture
def instance(tmp_path):
    """Give a Dagster with the platform's configuration."""
    home = prepare_dagster_home(Settings(analysis_home=tmp_path))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def location(instance, tmp_path):
    """Give a code location behind a code server of its own."""
    place = tmp_path / "place.py"
    place.write_text(PLACE)
    target = PythonFileTarget(str(place), None, str(PROJECT_ROOT), "place")
    with create_test_daemon_workspace_context(target, instance) as workspace:
        yield Location(instance, workspace)
    for server in [o for o in gc.get_objects() if type(o) is subprocess.Popen and "grpc" in o.args]:
        server.wait(60)  # Dagster does not wait for a code server that was killed, nor for one that shuts down


def kill_with_code_server(process):
    """Kill the code server first, so that the end of the run is not reported."""
    server = process.parent()
    assert "grpc" in " ".join(server.cmdline())
    for victim in (server, process):
        victim.kill()
    for victim in (server, process):
        wait_for(lambda pid=victim.pid: process_token(pid) is None, "a killed process does not end")


@pytest.mark.slow
def test_a_run_of_any_dagster_job_whose_process_was_killed_with_its_code_server_fails(location):
    run_id = location.launch()
    process = location.process(run_id)
    assert location.run(run_id).tags[HOST_TAG] == host_name()
    location.monitor()
    assert location.run(run_id).status is STARTED, "a living run is left alone"
    kill_with_code_server(process)
    location.monitor()
    assert location.run(run_id).status is FAILURE
    assert f"(pid {process.pid}) on host {host_name()} has ended" in location.messages(run_id)


@pytest.mark.slow
def test_a_run_that_was_killed_before_it_was_looked_at_fails(location):
    run_id = location.launch()
    assert PROCESS_TAG not in location.run(run_id).tags
    pid = re.search(r"Started process for run \(pid: (\d+)\)", location.messages(run_id))[1]
    kill_with_code_server(psutil.Process(int(pid)))
    location.monitor()
    assert location.run(run_id).status is FAILURE


@pytest.mark.slow
def test_terminate_ends_a_run_whose_process_is_gone_at_once(location):
    run_id = location.launch()
    kill_with_code_server(location.process(run_id))
    assert location.instance.run_coordinator.cancel_run(run_id)
    assert location.run(run_id).status is CANCELED
    assert "It was terminated" in location.messages(run_id)


@pytest.mark.slow
def test_terminate_ends_a_living_run_as_before(location):
    run_id = location.launch()
    assert location.instance.run_coordinator.cancel_run(run_id)
    wait_for(lambda: location.run(run_id).status is CANCELED, "the run was not canceled")
    assert not location.instance.run_coordinator.cancel_run(run_id)


@pytest.mark.slow
def test_a_run_of_a_host_that_is_gone_ends_with_the_time_limit_of_its_dagster_job(location, started):
    tags = {HOST_TAG: "another-host", **limited(hours=2)}
    run = started(**tags)
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    location.instance.report_dagster_event(event, run_id=run.run_id, timestamp=time.time() - 7000)
    location.monitor()
    assert location.run(run.run_id).status is STARTED
    location.instance.report_dagster_event(event, run_id=run.run_id, timestamp=time.time() - 7300)
    location.monitor()
    assert location.run(run.run_id).status is FAILURE


@pytest.mark.parametrize("job", ["catalog", "audit", "dispatch", "unit_quality_retry_failed"])
def test_runs_of_dagster_jobs_that_compute_no_jobs_have_a_time_limit(job):
    assert int(build_defs(Settings()).resolve_job_def(job).run_tags["dagster/max_runtime"]) >= 7200


@pytest.fixture
def launcher(instance):
    """Give the launcher that the platform's configuration names."""
    assert type(instance.run_launcher) is WatchedRunLauncher
    return instance.run_launcher


@pytest.fixture
def started(instance):
    """Give a function that makes a started run with some tags, whose process has reported an id."""

    def started(pid=None, *, ago_s=0.0, **tags):
        run = create_run_for_test(instance, job_name="any", tags=tags, status=STARTED)
        if pid is not None:
            event = dg.DagsterEvent(
                dg.DagsterEventType.ENGINE_EVENT.value,
                job_name="any",
                message=f"Started process for run (pid: {pid}).",
                event_specific_data=_in_process(pid),
            )
            instance.report_dagster_event(event, run_id=run.run_id, timestamp=time.time() - ago_s)
        return instance.get_run_by_id(run.run_id)

    return started


def _in_process(pid):
    """Give what Dagster stores with the event."""
    from dagster._core.events import EngineEventData  # noqa: PLC0415

    return EngineEventData.in_process(pid)


@pytest.fixture
def ended():
    """Give the id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def health(launcher, run):
    """Give the status that a health check finds."""
    return launcher.check_run_worker_health(run).status.value


@pytest.mark.parametrize("tags", [{}, {HOST_TAG: "another-host"}])
def test_a_run_of_another_host_is_never_judged_by_the_processes_of_this_one(launcher, started, ended, tags):
    assert health(launcher, started(ended, **tags)) == "RUNNING"
    gone = json.dumps([ended, "token"])
    assert health(launcher, started(ended, **tags, **{PROCESS_TAG: gone})) == "RUNNING"


def test_a_run_whose_process_has_not_reported_its_id_is_alive(launcher, started):
    assert health(launcher, started(**{HOST_TAG: host_name()})) == "RUNNING"


def test_a_process_with_the_id_of_one_that_is_gone_is_not_taken_for_it(launcher, started):
    mine, host = os.getpid(), {HOST_TAG: host_name()}
    assert health(launcher, started(mine, **host)) == "RUNNING"
    assert health(launcher, started(mine, ago_s=10 * 365 * 86400.0, **host)) == "FAILED"
    other = json.dumps([mine, "another boot/1"])
    assert health(launcher, started(mine, **host, **{PROCESS_TAG: other})) == "FAILED"
    assert (
        health(launcher, started(mine, **host, **{PROCESS_TAG: json.dumps([mine, process_token(mine)])})) == "RUNNING"
    )


def test_a_run_without_its_process_fails(launcher, started, ended):
    assert health(launcher, started(ended, **{HOST_TAG: host_name()})) == "FAILED"


def test_an_unknown_run_and_one_that_has_ended_cannot_be_terminated(launcher, instance, started):
    assert not launcher.terminate("no-such-run")
    run = started()
    instance.report_run_failed(run)
    assert not launcher.terminate(run.run_id)


def test_a_token_distinguishes_processes_and_ends_with_its_process():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        token = process_token(process.pid)
        assert token == process_token(process.pid) != process_token(os.getpid())
        process.send_signal(signal.SIGKILL)
        wait_for(lambda: process_token(process.pid) is None, "a dead process that nobody has waited for has a token")
        process.wait()
    assert process_token(process.pid) is None
