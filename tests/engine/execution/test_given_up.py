"""A run that Dagster has given up, while its process lives, stops and leaves its jobs to other runs."""

import threading
import time
import uuid

import dagster as dg
import psutil
import pytest

from domain.job.state import JobState
from engine.assets.runs import end_of_run
from engine.execution.batch import BatchRun, Pace
from engine.execution.outcome import RunFacts
from tests.engine.execution.runs import folders_of_runs
from tests.waiting import PATIENCE_S, wait_for

QUICK = Pace(poll_s=0.05, gather_s=0.05, check_s=0.2)
JOB = "some_job"


@pytest.fixture
def instance(tmp_path):
    """Give a Dagster instance on disk, which several threads use."""
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        yield instance


@pytest.fixture
def run(instance):
    """Give a run that Dagster counts."""
    return instance.create_run_for_job(dg.GraphDefinition(JOB).to_job(), status=dg.DagsterRunStatus.STARTED)


class LiveRun:
    """A run in a thread of its own."""

    def __init__(self, platform, run_id, ended, keys):
        facts = RunFacts(run_id=run_id)
        self.batch = BatchRun(platform.entry, platform.services, facts, pace=QUICK, ended=ended)
        self.outcomes = []
        self._thread = threading.Thread(target=self._live, args=(keys,))
        self._thread.start()

    def _live(self, keys):
        with self.batch as batch:
            for ended in batch.outcomes(keys):
                batch.settled(ended)
                self.outcomes += ended

    def wait(self):
        """Wait for its end."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("how", ["failed", "canceled", "deleted"])
def test_it_ends_its_processes_and_releases_its_jobs(misbehave, marks, instance, run, how):
    keys = misbehave.ingest(*({"mode": "hang", "number": n, "note": marks[0]} for n in range(4)))
    live = LiveRun(misbehave, run.run_id, lambda: end_of_run(instance, run.run_id), keys)
    wait_for(marks[1], "no job began")
    time.sleep(3 * QUICK.check_s)
    assert live.batch.given_up is None, "while Dagster counts it, it lives"
    if how == "failed":
        instance.report_run_failed(run)
    elif how == "canceled":
        instance.report_run_canceled(run)
    else:
        instance.delete_run(run.run_id)
    live.wait()
    assert live.batch.given_up == {"failed": "FAILURE", "canceled": "CANCELED", "deleted": "DELETED"}[how]
    assert live.outcomes == [], "what was ended with the run is not a failure"
    assert {misbehave.job(key).state for key in keys} == {JobState.NEW}
    assert all(misbehave.job(key).lease is None for key in keys)
    assert [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())] == []
    assert folders_of_runs(misbehave) == []


def test_a_job_that_was_freed_is_computed_by_the_next_run_alone(misbehave, marks, instance, run):
    (key,) = misbehave.ingest({"mode": "sleep", "seconds": 1.0, "note": marks[0]})
    short = misbehave.having(ledger=misbehave.ledger_with_leases_of(0.4))
    asked = threading.Event()

    def ended():
        asked.set()
        return end_of_run(instance, run.run_id)

    first = LiveRun(short, run.run_id, ended, [key])
    wait_for(marks[1], "the job did not begin")
    instance.report_run_failed(run)
    misbehave.services.ledger.claims.release_lost(misbehave.name, dead_runs=[run.run_id])
    first.wait()
    assert asked.is_set()
    assert marks[1]() == 1, "it was not claimed again"
    assert misbehave.job(key).state is JobState.NEW
    assert misbehave.work(key)[key].kind == "computed"
    assert marks[1]() == 2


def test_dagsters_storage_that_is_unavailable_ends_nothing(run, instance):
    class Unavailable:
        def get_run_by_id(self, run_id):
            raise ConnectionError(run_id)

    assert end_of_run(Unavailable(), run.run_id) is None
    assert end_of_run(instance, run.run_id) is None
    assert end_of_run(instance, "00000000-0000-0000-0000-000000000000") == "DELETED"


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_the_status_that_dagster_gave_the_run_stays(misbehave, instance, status):
    (key,) = misbehave.ingest({"number": 1})
    ledger = misbehave.services.ledger
    ledger.claims.claim(
        misbehave.job(key),
        attempt=str(uuid.uuid4()),
        owner="another",
        run_id="another",
        code_version=misbehave.entry.code_version,
        states=[JobState.NEW],
    )
    instance.add_dynamic_partitions(misbehave.name, [key])
    thread = threading.Thread(target=misbehave.run, args=([key],), kwargs={"instance": instance}, daemon=True)
    thread.start()
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    wait_for(lambda: instance.get_runs(started), "the run did not start")
    (run,) = instance.get_runs(started)
    if status is dg.DagsterRunStatus.FAILURE:
        instance.report_run_failed(run)
    else:
        instance.report_run_canceled(run)
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "it waits for a job that another run has claimed"
    assert instance.get_run_by_id(run.run_id).status is status
    assert misbehave.job(key).lease.owner == "another"
