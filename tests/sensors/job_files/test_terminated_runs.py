"""Jobs of a run that an operator terminates, and the Dagster job that requeues failed jobs."""

import dagster as dg
import pytest

from domain.failures import JobError
from domain.job.state import JobState
from sensors.retry_failed import build_retry_job
from tests.sensors.job_files.test_sensor import claim, fail, write_jobs

CANCELED, NOT_STARTED = dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.NOT_STARTED


def test_jobs_of_a_run_that_a_person_terminated_are_cancelled_and_not_asked_for_again(world):
    write_jobs(world, 3)
    runs = world.launch(world.tick(), NOT_STARTED)
    world.end(runs, CANCELED)
    assert world.asked(world.tick()) == []
    jobs = world.jobs(JobState.FAILED)
    assert len(jobs) == 3
    assert {job["error"]["kind"] for job in jobs.values()} == {"cancelled"}
    assert f"run {runs[0].run_id} was terminated in Dagster" in next(iter(jobs.values()))["error"]["message"]


def test_what_such_a_run_had_finished_or_others_are_at_work_on_stays(world):
    write_jobs(world, 3)
    runs = world.launch(world.tick())
    keys = world.partitions()
    fail(world, keys[0])
    claim(world, keys[1], run_id="another")
    world.end(runs, CANCELED)
    world.tick()
    jobs = world.jobs()
    assert [jobs[key]["state"] for key in keys] == ["failed", "running", "failed"]
    assert [jobs[key]["error"] and jobs[key]["error"]["kind"] for key in keys] == ["exception", None, "cancelled"]


def test_jobs_asked_for_after_that_are_not_cancelled_by_the_old_run(world):
    write_jobs(world, 2)
    world.end(world.launch(world.tick()), CANCELED)
    world.tick()
    world.stores.ledger.requests.requeue(world.name, world.partitions(), who="ann")
    assert world.asked(world.tick()) == world.partitions()


def test_a_transient_failure_is_asked_for_again_when_its_time_has_come(world):
    write_jobs(world, 2)
    world.end(world.launch(world.tick()))
    error = JobError(kind="server", message="S3 is away", permanent=False)
    for key, seconds in zip(world.partitions(), (0.0, 3600.0), strict=True):
        claimed = claim(world, key)
        world.stores.ledger.claims.fail(
            claimed,
            attempt=claimed.lease.attempt,
            code_version=world.entry.code_version,
            error=error,
            retry_in_s=seconds,
        )
    assert world.asked(world.tick()) == world.partitions()[:1]
    assert [job["rounds"] for job in world.jobs(JobState.NEW).values()] == [1]


@pytest.mark.parametrize(("kinds", "asked"), [([], {"exception"}), (["cancelled"], {"cancelled"})])
def test_one_click_requeues_failed_jobs_and_those_that_people_ended_only_when_named(world, kinds, asked):
    write_jobs(world, 2)
    world.tick()
    one, other = world.partitions()
    fail(world, one)
    ledger = world.stores.ledger
    ledger.requests.cancel(world.name, [other], who="ann", reason="no", code_version=world.entry.code_version)
    config = {"ops": {f"{world.name}_ask_again": {"config": {"kinds": kinds}}}} if kinds else {}
    job = build_retry_job(world.entry)
    assert job.execute_in_process(run_config=config, resources={"ledger": ledger}, instance=world.instance).success
    new = world.jobs(JobState.NEW)
    assert {job["error"]["kind"] for job in new.values()} == asked
