"""Jobs are stored once with every source, and requested again."""

from datetime import timedelta

import pytest

from domain.job.stored import Source
from resources.ledger.documents import job_id
from tests.resources.ledger.ledger_jobs import (
    ARCHIVED,
    CODE,
    DONE,
    ERROR,
    FAILED,
    NEW,
    NEXT_CODE,
    RUNNING,
    claim,
    done,
    failed,
    finish,
    job_of,
    now,
    stored,
    together,
)


def test_a_stored_job_is_new_and_comes_back_as_it_was(ledger):
    entry = stored(ledger)
    assert entry.stored_job == job_of(0)
    assert (entry.state, entry.attempt_number, entry.requests, entry.unfinished_runs) == (NEW, 0, 0, 0)
    assert entry.lease is entry.error is entry.force is entry.result_id is entry.code_version is None
    assert entry.sources == (Source(name="file.json"),)
    assert entry.attempts == ()


def test_storing_nothing_does_nothing(ledger):
    ledger.requests.store([], code_version=CODE)
    assert ledger.jobs.counts("demo") == {NEW: 0, RUNNING: 0, DONE: 0, FAILED: 0, ARCHIVED: 0}


def test_every_source_is_added_once(ledger):
    job = job_of(0)
    sources = [Source(name=f"{n}.json", group=({"field": "a.b", "value": n},)) for n in range(3)]
    for _ in range(2):
        ledger.requests.store([(job, source) for source in sources], code_version=CODE)
    assert ledger.jobs.get("demo", job.job_key).sources == tuple(sources)


def test_the_same_job_of_two_analyses_is_two_jobs(ledger):
    one, two = stored(ledger), stored(ledger, analysis="other")
    assert one.job_key == two.job_key
    claim(ledger, one)
    assert now(ledger, two).state is NEW
    assert job_id("demo", "k") != job_id("other", "k")


def test_storing_a_claimed_job_again_leaves_it_claimed(ledger):
    entry = stored(ledger)
    claim(ledger, entry)
    again = stored(ledger, name="other.json", code_version=NEXT_CODE)
    assert (again.state, again.lease.attempt, len(again.sources)) == (RUNNING, "a1", 2)


@pytest.mark.parametrize("ended", [done, failed])
def test_storing_an_ended_job_again_keeps_its_state(ledger, ended):
    entry = ended(ledger)
    again = stored(ledger, name="other.json")
    assert again.model_copy(update={"sources": entry.sources}) == entry
    assert len(again.sources) == 2


@pytest.mark.parametrize("ended", [done, failed])
def test_storing_an_ended_job_after_a_change_of_code_makes_it_new(ledger, ended):
    ended(ledger)
    assert stored(ledger, code_version=NEXT_CODE).state is NEW


def test_many_writers_store_the_same_jobs_once(ledger):
    jobs = [job_of(n) for n in range(20)]
    together(8, lambda n: ledger.requests.store([(job, Source(name=f"{n}.json")) for job in jobs], code_version=CODE))
    assert ledger.jobs.counts("demo")[NEW] == 20
    assert all(len(e.sources) == 8 for e in ledger.jobs.get_many("demo", [j.job_key for j in jobs]).values())


@pytest.mark.parametrize("ended", [done, failed])
def test_asking_again_makes_an_ended_job_new(ledger, ended):
    entry = ended(ledger)
    assert ledger.requests.requeue("demo", [entry.job_key], who="me") == 1
    assert now(ledger, entry).state is NEW
    assert now(ledger, entry).force is None


def test_a_request_to_compute_again_is_kept_with_who_why_and_when(ledger):
    entry = done(ledger)
    assert ledger.requests.requeue("demo", [entry.job_key], who="me", reason="new drift", force=True) == 1
    force = now(ledger, entry).force
    assert (force.who, force.reason) == ("me", "new drift")
    assert abs(force.when - ledger.mongo.now()) < timedelta(seconds=5)


def test_a_request_without_reason_stays_readable(ledger):
    entry = done(ledger)
    ledger.requests.requeue("demo", [entry.job_key], who="me", force=True)
    assert now(ledger, entry).force.reason == "requested by me"


def test_a_new_job_can_be_forced_and_a_running_or_unknown_one_not(ledger):
    new, running = stored(ledger, 0), stored(ledger, 1)
    claim(ledger, running)
    keys = [new.job_key, running.job_key, "unknown"]
    assert ledger.requests.requeue("demo", keys, who="me", reason="why", force=True) == 1
    assert now(ledger, new).force is not None
    assert (now(ledger, running).state, now(ledger, running).force) == (RUNNING, None)


def test_a_force_survives_failures_and_ends_with_a_result(ledger):
    entry = done(ledger)
    ledger.requests.requeue("demo", [entry.job_key], who="me", reason="why", force=True)
    first = claim(ledger, now(ledger, entry), attempt="a1")
    ledger.claims.fail(first, attempt="a1", code_version=CODE, error=ERROR)
    assert now(ledger, entry).force.reason == "why"
    ledger.requests.requeue("demo", [entry.job_key], who="another person")
    second = claim(ledger, now(ledger, entry), attempt="a2")
    assert second.force.reason == "why"
    finish(ledger, second, "a2")
    assert now(ledger, entry).force is None


@pytest.mark.parametrize("how", ["force", "invalidate"])
def test_only_attempts_after_a_force_or_an_invalidation_may_be_used(ledger, how):
    entry = stored(ledger)
    finish(ledger, claim(ledger, entry, attempt="before"), "before")
    assert now(ledger, entry).may_use("before")
    assert now(ledger, entry).may_use("of an earlier release")
    if how == "force":
        ledger.requests.requeue("demo", [entry.job_key], who="me", reason="why", force=True)
    else:
        ledger.requests.invalidate(now(ledger, entry), who="me", reason="why", code_version=CODE)
        ledger.requests.requeue("demo", [entry.job_key], who="me")
    after = claim(ledger, now(ledger, entry), attempt="after")
    assert [after.may_use(a) for a in ("before", "of an earlier release", "after")] == [False, False, True]
