"""Jobs of a run that an operator terminates, and the Dagster job that requeues failed jobs."""

import dagster as dg
import pytest

from domain.failures import JobError
from domain.job.state import JobState
from sensors.retry_failed import build_retry_job
from tests.sensors.job_files.test_sensor import claim, fail, write_jobs

CANCELED, NOT_STARTED = dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.NOT_STARTED


def test_jobs_of_a_run_that_a_person_terminated_are_cancelled_and_not_requested_again(harness):
    write_jobs(harness, 3)
    runs = harness.launch(harness.tick(), NOT_STARTED)
    harness.end(runs, CANCELED)
    assert harness.requested(harness.tick()) == []
    jobs = harness.jobs(JobState.FAILED)
    assert len(jobs) == 3
    assert {job["error"]["kind"] for job in jobs.values()} == {"cancelled"}
    assert f"run {runs[0].run_id} was terminated in Dagster" in next(iter(jobs.values()))["error"]["message"]


def test_what_such_a_run_had_finished_or_other_runs_compute_stays(harness):
    write_jobs(harness, 3)
    runs = harness.launch(harness.tick())
    keys = harness.partitions()
    fail(harness, keys[0])
    claim(harness, keys[1], run_id="another")
    harness.end(runs, CANCELED)
    harness.tick()
    jobs = harness.jobs()
    assert [jobs[key]["state"] for key in keys] == ["failed", "running", "failed"]
    assert [jobs[key]["error"] and jobs[key]["error"]["kind"] for key in keys] == ["exception", None, "cancelled"]


def test_jobs_requested_after_that_are_not_cancelled_by_the_old_run(harness):
    write_jobs(harness, 2)
    harness.end(harness.launch(harness.tick()), CANCELED)
    harness.tick()
    harness.stores.ledger.requests.requeue(harness.name, harness.partitions(), who="ann")
    assert harness.requested(harness.tick()) == harness.partitions()


def test_a_transient_failure_is_requested_again_when_its_time_has_come(harness):
    write_jobs(harness, 2)
    harness.end(harness.launch(harness.tick()))
    error = JobError(kind="server", message="S3 is away", permanent=False)
    for key, seconds in zip(harness.partitions(), (0.0, 3600.0), strict=True):
        claimed = claim(harness, key)
        harness.stores.ledger.claims.fail(
            claimed,
            attempt=claimed.lease.attempt,
            code_version=harness.entry.code_version,
            error=error,
            retry_in_s=seconds,
        )
    assert harness.requested(harness.tick()) == harness.partitions()[:1]
    assert [job["rounds"] for job in harness.jobs(JobState.NEW).values()] == [1]


@pytest.mark.parametrize(("kinds", "asked"), [([], {"exception"}), (["cancelled"], {"cancelled"})])
def test_one_click_requeues_failed_jobs_and_those_that_people_ended_only_when_named(harness, kinds, asked):
    write_jobs(harness, 2)
    harness.tick()
    one, other = harness.partitions()
    fail(harness, one)
    ledger = harness.stores.ledger
    ledger.requests.cancel(harness.name, [other], who="ann", reason="no", code_version=harness.entry.code_version)
    config = {"ops": {f"{harness.name}_ask_again": {"config": {"kinds": kinds}}}} if kinds else {}
    job = build_retry_job(harness.entry)
    assert job.execute_in_process(run_config=config, resources={"ledger": ledger}, instance=harness.instance).success
    new = harness.jobs(JobState.NEW)
    assert {job["error"]["kind"] for job in new.values()} == asked
