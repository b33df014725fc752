"""Runs whose process is gone, although Dagster shows them as running."""

import time
from datetime import timedelta

import dagster as dg
import pytest

from domain.job.state import JobState
from sensors.job_files.lost_runs import end_lost_runs
from tests.sensors.harness import job_file

STARTED = dg.DagsterRunStatus.STARTED


def start(harness, run, *, ago_s=0.0):
    """Let a run start, or have started some time ago."""
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    harness.instance.report_dagster_event(event, run_id=run.run_id, timestamp=time.time() - ago_s)


@pytest.fixture
def run(harness):
    """Give a run that started long ago, over two jobs that have been new for long."""
    for number in range(2):
        harness.write(f"{number}.json", job_file(number))
    (found,) = harness.launch(harness.tick(), dg.DagsterRunStatus.NOT_STARTED)
    start(harness, found, ago_s=600)
    for key in harness.jobs():
        harness.change(key, updated=harness.stores.ledger.mongo.now() - timedelta(hours=1))
    return found


def claim(harness, key, run_id):
    ledger = harness.stores.ledger
    return ledger.claims.claim(
        ledger.jobs.get(harness.name, key),
        attempt="an-attempt",
        owner="a-worker",
        run_id=run_id,
        code_version=harness.entry.code_version,
        states=[JobState.NEW],
    )


def ended(harness):
    return end_lost_runs(harness.instance, harness.entry, harness.stores.ledger)


def test_a_run_that_holds_no_lease_and_leaves_its_jobs_alone_is_ended_and_another_is_requested(harness, run):
    found = harness.tick()
    assert harness.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
    assert set(harness.requested(found)) == set(harness.jobs())


def test_a_run_that_holds_any_lease_is_running(harness, run):
    claim(harness, next(iter(harness.jobs())), run.run_id)
    assert ended(harness) == []
    assert harness.instance.get_run_by_id(run.run_id).status is STARTED


def test_a_run_whose_jobs_others_have_claimed_waits_for_them(harness, run):
    for key in harness.jobs():
        claim(harness, key, "another-run")
    assert ended(harness) == []


def test_a_run_that_has_just_given_its_jobs_back_will_try_them_again(harness, run):
    for key in harness.jobs():
        harness.change(key, updated=harness.stores.ledger.mongo.now())
    assert ended(harness) == []


def test_a_run_that_has_just_started_may_take_its_time(harness, run):
    start(harness, run)
    assert ended(harness) == []


@pytest.mark.parametrize(("ago_s", "lost"), [(150, 0), (190, 1)])
def test_a_run_may_be_silent_for_the_longest_wait_of_its_retries_and_the_grace(harness, run, ago_s, lost):
    retry = harness.entry.analysis.retry.model_copy(update={"delay_s": 25.0, "backoff": 2.0, "max_attempts": 3})
    analysis = harness.entry.analysis.model_copy(update={"retry": retry})
    harness.entry = type(harness.entry)(**{**harness.entry.__dict__, "analysis": analysis})
    for key in harness.jobs():
        harness.change(key, updated=harness.stores.ledger.mongo.now() - timedelta(seconds=ago_s))
    assert len(ended(harness)) == lost  # 120 s and 50 s
