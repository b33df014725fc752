"""Jobs of lost runs become new, or fail after too many runs."""

import uuid

import pytest

from domain.retry import UNFINISHED_RUNS
from tests.raw import jobs_of
from tests.resources.ledger.ledger_jobs import (
    CODE,
    DONE,
    FAILED,
    NEW,
    NEXT_CODE,
    RUNNING,
    claim,
    done,
    finish,
    now,
    stored,
)


def test_jobs_of_dead_runs_and_expired_leases_become_new_and_live_ones_stay(ledger, brief):
    dead, live, ended = stored(ledger, 0), stored(ledger, 1), done(ledger, 2)
    late, other = stored(ledger, 3), stored(ledger, 4, analysis="other")
    claim(ledger, dead, run_id="dead")
    claim(ledger, live, run_id="live")
    claim(brief, late, run_id="live")
    claim(brief, other)
    assert ledger.claims.release_lost("demo", dead_runs=["dead"]) == 2
    assert [now(ledger, e).state for e in (dead, late, live, ended, other)] == [NEW, NEW, RUNNING, DONE, RUNNING]
    assert now(ledger, dead).lease is None
    assert ledger.claims.release_lost("demo", dead_runs=["dead"]) == 0


def begin_runs(ledger, entry, times):
    """Begin runs that leave the job unfinished; give how many jobs are given up then."""
    for _ in range(times):
        ledger.run_counts.count_started(entry.analysis, [entry.job_key], run_id=str(uuid.uuid4()))
    return ledger.run_counts.fail_crash_looping(entry.analysis, [entry.job_key], code_version="v1")


def test_a_job_that_run_after_run_leaves_unfinished_fails(ledger):
    entry, other = stored(ledger, 0), stored(ledger, 1)
    assert begin_runs(ledger, entry, UNFINISHED_RUNS.attempts - 1) == 0
    assert now(ledger, entry).state is NEW
    assert begin_runs(ledger, entry, 1) == 1
    hopeless = now(ledger, entry)
    assert (hopeless.state, hopeless.error.kind, hopeless.error.permanent) == (FAILED, "lost", False)
    assert f"{UNFINISHED_RUNS.attempts} runs" in hopeless.error.message
    assert now(ledger, other).state is NEW


def test_only_new_jobs_that_are_named_are_given_up(ledger):
    running, unnamed = stored(ledger, 0), stored(ledger, 1)
    for _ in range(UNFINISHED_RUNS.attempts):
        keys = [running.job_key, unnamed.job_key]
        ledger.run_counts.count_started("demo", keys, run_id=str(uuid.uuid4()))
    claim(ledger, running)
    assert (
        ledger.run_counts.fail_crash_looping("demo", [running.job_key], code_version="v1")
        == ledger.run_counts.fail_crash_looping("demo", [], code_version="v1")
        == 0
    )
    assert [now(ledger, e).state for e in (running, unnamed)] == [RUNNING, NEW]


@pytest.mark.parametrize("how", ["a person", "new code", "a result", "a result elsewhere"])
def test_a_job_that_was_given_up_gets_all_its_chances_again(ledger, how):
    entry = stored(ledger)
    begin_runs(ledger, entry, UNFINISHED_RUNS.attempts)
    if how == "new code":
        stored(ledger, code_version=NEXT_CODE)
    elif how == "a result":
        finish(ledger, claim(ledger, now(ledger, entry), states=[FAILED]))
    elif how == "a result elsewhere":
        ledger.claims.mark_unclaimed(entry, state=DONE, code_version=CODE, result_id="r")
    ledger.requests.requeue("demo", [entry.job_key], who="me")
    assert now(ledger, entry).state is NEW
    assert begin_runs(ledger, entry, UNFINISHED_RUNS.attempts - 1) == 0


def test_runs_before_a_result_do_not_count(ledger):
    entry = stored(ledger)
    begin_runs(ledger, entry, UNFINISHED_RUNS.attempts - 1)
    finish(ledger, claim(ledger, entry))
    assert now(ledger, entry).unfinished_runs == 0


def test_runs_that_never_start_do_not_give_a_job_up(ledger):
    entry = stored(ledger)
    for number in range(2 * UNFINISHED_RUNS.attempts):
        ledger.run_counts.count_requested("demo", {entry.job_key: number})
    assert ledger.run_counts.fail_crash_looping("demo", [entry.job_key], code_version="v1") == 0
    assert (now(ledger, entry).requests, now(ledger, entry).unfinished_runs) == (10, 0)


def test_a_run_that_starts_counts_once_and_only_for_new_jobs(ledger):
    entry, ended = stored(ledger, 0), done(ledger, 1)
    ledger.run_counts.count_requested("demo", {entry.job_key: 0})
    for run in ("r1", "r1", "r2", "r2"):
        ledger.run_counts.count_started("demo", [entry.job_key, ended.job_key], run_id=run)
    assert (now(ledger, entry).unfinished_runs, now(ledger, entry).unstarted_runs) == (2, 0)
    assert now(ledger, ended).unfinished_runs == 0


def test_requests_that_an_earlier_release_counted_do_not_give_a_job_up(ledger):
    entry = stored(ledger)
    jobs_of(ledger).update_one({"job_key": entry.job_key}, {"$set": {"fruitless": 9}, "$unset": {"unstarted": 1}})
    assert begin_runs(ledger, entry, 0) == begin_runs(ledger, entry, UNFINISHED_RUNS.attempts - 1) == 0
    assert now(ledger, entry).unfinished_runs == UNFINISHED_RUNS.attempts - 1
    assert begin_runs(ledger, entry, 1) == 1
