"""Runs whose process is gone, although Dagster shows them as running."""

import time
from datetime import timedelta

import dagster as dg
import pytest

from domain.job.state import JobState
from sensors.job_files.lost_runs import end_lost_runs
from tests.sensors.world import job_file

STARTED = dg.DagsterRunStatus.STARTED


def start(world, run, *, ago_s=0.0):
    """Let a run start, or have started some time ago."""
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    world.instance.report_dagster_event(event, run_id=run.run_id, timestamp=time.time() - ago_s)


@pytest.fixture
def run(world):
    """Give a run that started long ago, over two jobs that have been new for long."""
    for number in range(2):
        world.write(f"{number}.json", job_file(number))
    (found,) = world.launch(world.tick(), dg.DagsterRunStatus.NOT_STARTED)
    start(world, found, ago_s=600)
    for key in world.jobs():
        world.change(key, updated=world.stores.ledger.mongo.now() - timedelta(hours=1))
    return found


def claim(world, key, run_id):
    ledger = world.stores.ledger
    return ledger.claims.claim(
        ledger.jobs.get(world.name, key),
        attempt="an-attempt",
        owner="a-worker",
        run_id=run_id,
        code_version=world.entry.code_version,
        states=[JobState.NEW],
    )


def ended(world):
    return end_lost_runs(world.instance, world.entry, world.stores.ledger)


def test_a_run_that_holds_no_lease_and_leaves_its_jobs_alone_is_ended_and_another_is_asked_for(world, run):
    found = world.tick()
    assert world.instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
    assert set(world.asked(found)) == set(world.jobs())


def test_a_run_that_holds_any_lease_is_at_work(world, run):
    claim(world, next(iter(world.jobs())), run.run_id)
    assert ended(world) == []
    assert world.instance.get_run_by_id(run.run_id).status is STARTED


def test_a_run_whose_jobs_others_have_claimed_waits_for_them(world, run):
    for key in world.jobs():
        claim(world, key, "another-run")
    assert ended(world) == []


def test_a_run_that_has_just_given_its_jobs_back_will_try_them_again(world, run):
    for key in world.jobs():
        world.change(key, updated=world.stores.ledger.mongo.now())
    assert ended(world) == []


def test_a_run_that_has_just_started_may_take_its_time(world, run):
    start(world, run)
    assert ended(world) == []


@pytest.mark.parametrize(("ago_s", "lost"), [(150, 0), (190, 1)])
def test_a_run_may_be_silent_for_the_longest_wait_of_its_retries_and_the_grace(world, run, ago_s, lost):
    retry = world.entry.analysis.retry.model_copy(update={"delay_s": 25.0, "backoff": 2.0, "max_attempts": 3})
    analysis = world.entry.analysis.model_copy(update={"retry": retry})
    world.entry = type(world.entry)(**{**world.entry.__dict__, "analysis": analysis})
    for key in world.jobs():
        world.change(key, updated=world.stores.ledger.mongo.now() - timedelta(seconds=ago_s))
    assert len(ended(world)) == lost  # 120 s and 50 s
