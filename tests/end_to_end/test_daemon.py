"""Dagster's daemon over an inbox: job files become results, also when a run or a server is killed."""

import json
import os
import signal
from collections import Counter
from contextlib import suppress

import dagster as dg
import psutil
import pytest

from cli.dagster_processes import dagster_process
from domain.errors import ServerUnavailableError
from domain.job.state import JobState
from domain.result.records import from_record
from engine.assets.materialization import asset_key_of
from engine.execution.publish import differences
from operations.platform import open_platform
from resources.embedded.embedded import server_pids
from resources.result_store.attempts import complete_attempts
from resources.settings import load_settings
from tests import waiting
from tests.end_to_end.conftest import own_home
from tests.lab_workspace import LAB, write_workspace
from tests.waiting import progress_of

pytestmark = pytest.mark.slow
IN_FLIGHT = 4  # jobs that a run has begun and not finished: two are running, two wait for a worker or publish


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder of servers that this file alone uses."""
    with own_home(tmp_path_factory.mktemp("own")) as home:
        yield home


@pytest.fixture(scope="module")
def platform(home):
    """Open the platform with the analyses for tests."""
    with open_platform(load_settings(env_file=home / "no.env"), folder=LAB) as platform:
        yield platform


@pytest.fixture(scope="module")
def daemon(platform, tmp_path_factory):
    """Run Dagster's daemon over the analyses for tests, once for all tests of this file."""
    folder = tmp_path_factory.mktemp("daemon")
    workspace = write_workspace(folder)
    words = ["-m", "dagster._daemon", "run"]
    with dagster_process(platform.settings, words, log=folder / "daemon.log", workspace=workspace) as daemon:
        yield daemon


def wait_for(platform, condition, what):
    """Wait for the daemon's work; a server that is just being restarted is asked again."""

    def found():
        with suppress(ServerUnavailableError):
            return condition()
        return None

    def moving():
        with suppress(ServerUnavailableError):
            return progress_of(platform.connections, platform.names, platform.settings.dagster_home)
        return None

    return waiting.wait_for(found, what, moving=moving)


def job_file(number, **parameters):
    """Return a job file."""
    parameters = {"number": number, **parameters}
    return json.dumps({"s3_location": ["s3://bucket/asset"], "distributed_parameters": parameters}).encode()


def write_sleepers(platform, note, numbers, seconds=1.5):
    """Request jobs that leave a mark when they start, and sleep."""
    for number in numbers:
        data = job_file(number, mode="sleep", seconds=seconds, note=str(note))
        platform.connections.job_inbox.write("misbehave", f"{number}.json", data)


def marks(note):
    """Return number and worker process of every execution that began."""
    lines = note.read_text(encoding="utf-8").splitlines() if note.exists() else []
    return [tuple(map(int, line.split())) for line in lines]


def all_done(platform, name, numbers):
    """Return whether the jobs with some numbers are done; no job may fail."""
    ledger = platform.connections.ledger
    assert ledger.jobs.counts(name)[JobState.FAILED] == 0
    done = ledger.jobs.get_many(name, ledger.jobs.keys_in(name, JobState.DONE)).values()
    return {job.parameters["number"] for job in done} >= set(numbers)


def check_results(platform, name):
    """One record for each job, with complete files; Dagster shows each partition as materialized."""
    connections, version = platform.connections, platform.entry(name).code_version
    keys = connections.ledger.jobs.keys_in(name, JobState.DONE)
    jobs = connections.ledger.jobs.get_many(name, keys)
    found = [from_record(record) for record in connections.record_store.newest(name)]
    assert sorted(one.job_key for one in found) == sorted(keys)
    for one in found:
        assert (one.result_id, one.code_version) == (jobs[one.job_key].result_id, version)
        assert differences(connections.results_store, one) == []
        assert one.attempt in complete_attempts(connections.results_store, one.result_id)
        if name == "misbehave":
            assert connections.results_store.get_bytes(one.location, "number.txt") == b"%d" % one.outputs["number"]
    with dg.DagsterInstance.from_config(str(platform.settings.dagster_home)) as instance:
        assert instance.get_materialized_partitions(asset_key_of(name)) == set(keys)


def test_job_files_become_results_and_the_same_jobs_are_not_computed_again(platform, daemon):
    inbox, ledger = platform.connections.job_inbox, platform.connections.ledger
    for number in range(3):
        inbox.write("double", f"a/{number}.json", job_file(number))
    inbox.write("double", "bad.json", b"{")
    wait_for(platform, lambda: all_done(platform, "double", range(3)), "the jobs are not done")
    inbox.write("double", "again.json", job_file(1.0))
    notes = platform.connections.inbox_notes
    wait_for(platform, lambda: "again.json" in notes.known("double"), "the other file was not taken in")
    check_results(platform, "double")
    jobs = ledger.jobs.get_many("double", ledger.jobs.keys_in("double", JobState.DONE))
    assert len(jobs) == 3
    assert {job.attempt_number for job in jobs.values()} == {1}
    with dg.DagsterInstance.from_config(str(platform.settings.dagster_home)) as instance:
        (checked,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(["double", "inbox"]), "job_files_readable"), limit=5
        )
        assert checked.status.value == "FAILED"
        runs = instance.get_runs(dg.RunsFilter(job_name="double_batch"))
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert daemon.poll() is None


def test_jobs_whose_run_was_killed_are_finished_and_only_interrupted_ones_executed_twice(platform, daemon, tmp_path):
    note, numbers = tmp_path / "marks", range(8)
    write_sleepers(platform, note, numbers)
    wait_for(platform, lambda: len(marks(note)) >= len(numbers) // 2, "the jobs did not begin")
    worker = psutil.Process(marks(note)[-1][1])
    run = worker.parent()
    workers = run.children()
    assert run.pid != daemon.pid
    run.kill()
    wait_for(
        platform,
        lambda: not any(w.is_running() and w.status() != "zombie" for w in workers),
        "a worker outlived its run",
    )
    wait_for(platform, lambda: all_done(platform, "misbehave", numbers), "the jobs are not done")
    executed = Counter(number for number, _ in marks(note))
    assert set(executed) == set(numbers)
    assert max(executed.values()) <= 2
    assert sum(executed.values()) - len(numbers) <= IN_FLIGHT
    check_results(platform, "misbehave")


def test_jobs_that_publish_while_mongod_is_killed_are_finished_without_a_second_execution(
    platform, daemon, tmp_path, home
):
    note, numbers = tmp_path / "marks", range(100, 110)
    write_sleepers(platform, note, numbers, seconds=0.5)
    for begun in (3, 6):
        wait_for(platform, lambda begun=begun: len(marks(note)) >= begun, "the jobs did not begin")
        pid = server_pids(home)["mongo"]
        os.kill(pid, signal.SIGKILL)
        wait_for(platform, lambda pid=pid: server_pids(home).get("mongo", pid) != pid, "mongod was not started again")
    wait_for(platform, lambda: all_done(platform, "misbehave", numbers), "the jobs are not done")
    executed = Counter(number for number, _ in marks(note))
    assert set(executed) == set(numbers)
    assert sum(executed.values()) - len(numbers) <= IN_FLIGHT
    check_results(platform, "misbehave")
    assert daemon.poll() is None
