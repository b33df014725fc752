import os
import signal
import threading
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from domain.failures import JobError
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import Job
from domain.job.state import Commit, JobState
from domain.job.stored import Source, StoredJob
from domain.retry import UNFINISHED_RUNS
from resources.embedded.embedded import server_pids, serving
from resources.ledger.claims import KEPT_ATTEMPTS, Finished
from resources.ledger.documents import job_id
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from tests.raw import jobs_of

NEW, RUNNING, DONE, FAILED, ARCHIVED = JobState
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CODE, NEXT_CODE = "1+000000000000", "1+111111111111"
ERROR = JobError(kind="exception", message="boom", permanent=True, traceback="Traceback …", log="ä")


@pytest.fixture(scope="module")
def one_ledger(docdb_uri):
    """Open one ledger for all tests: making its collection and indexes takes longer than a test."""
    mongo = MongoConnection(uri=docdb_uri, database=f"test_{uuid.uuid4().hex[:16]}")
    return Ledger(mongo=mongo, records_name="records")


@pytest.fixture
def ledger(one_ledger):
    """Give an empty ledger."""
    jobs_of(one_ledger).delete_many({})
    return one_ledger


@pytest.fixture
def brief(ledger):
    """Give the same ledger, with claims that expire at once."""
    return Ledger(mongo=ledger.mongo, records_name=ledger.records_name, lease_s=-1.0)


def job_of(number, *, analysis="demo"):
    inputs = JobInputs.of(Job(s3_location=(f"s3://Bucket/{number}/",)))
    parameters = {"bin_s": 0.05, "labels": ["ä", None], "window": {"stop_s": 1.0}, "n": 2**50}
    return StoredJob(
        analysis=analysis,
        job_key=job_key(inputs, parameters),
        inputs=inputs,
        parameters=parameters,
        origins={"bin_s": "default"},
    )


def stored(ledger, number=0, *, analysis="demo", code_version=CODE, name="file.json"):
    """Store a job and give its entry."""
    job = job_of(number, analysis=analysis)
    ledger.requests.store([(job, Source(name=name))], code_version=code_version)
    return ledger.jobs.get(analysis, job.job_key)


def claim(ledger, entry, attempt="a1", *, owner="worker", run_id="run", states=(NEW,)):
    return ledger.claims.claim(entry, attempt=attempt, owner=owner, run_id=run_id, code_version=CODE, states=states)


def finish(ledger, entry, attempt="a1"):
    ledger.claims.finish([Finished(entry, attempt, "result")], code_version=CODE)


def fail(ledger, entry, attempt="a1"):
    ledger.claims.fail(entry, attempt=attempt, code_version=CODE, error=ERROR)


def cancelled(ledger, entry):
    """Cancel a job; gives how many were cancelled."""
    return ledger.requests.cancel("demo", [entry.job_key], who="ann", reason="x", code_version=CODE)


def now(ledger, entry):
    """Read an entry again."""
    return ledger.jobs.get(entry.analysis, entry.job_key)


def done(ledger, number=0):
    """Store a job and bring it to its end."""
    entry = stored(ledger, number)
    claim(ledger, entry)
    finish(ledger, entry)
    return now(ledger, entry)


def failed(ledger, number=0):
    """Store a job and let it fail."""
    entry = stored(ledger, number)
    claim(ledger, entry)
    fail(ledger, entry)
    return now(ledger, entry)


def together(count, work):
    """Run `work(number)` in threads that start at once; give what each returned."""
    barrier, answers = threading.Barrier(count), [None] * count

    def one(number):
        barrier.wait()
        answers[number] = work(number)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# -- taking jobs in ------------------------------------------------------------------------------------------------


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


# -- reading -------------------------------------------------------------------------------------------------------


def test_unknown_jobs_are_left_out(ledger):
    entry = stored(ledger)
    assert ledger.jobs.get("demo", "unknown") is None
    assert set(ledger.jobs.get_many("demo", [entry.job_key, "unknown"])) == {entry.job_key}
    assert set(ledger.jobs.summaries("demo", [entry.job_key, "unknown"])) == {entry.job_key}


def test_keys_are_listed_oldest_first_up_to_a_limit_and_by_further_fields(ledger):
    entries = [stored(ledger, n) for n in range(5)]
    keys = [entry.job_key for entry in entries]
    assert ledger.jobs.keys_in("demo", NEW) == keys
    assert ledger.jobs.keys_in("demo", NEW, limit=2) == keys[:2]
    ledger.requests.requeue("demo", keys[1:2], who="me", reason="why", force=True)
    assert ledger.jobs.keys_in("demo", NEW, match={"force": None}) == [keys[0], *keys[2:]]
    assert ledger.jobs.keys_in("demo", DONE) == ledger.jobs.keys_in("other", NEW) == []


def test_jobs_of_older_code_are_found(ledger):
    entry = done(ledger)
    assert ledger.jobs.keys_in("demo", DONE, match={"code_version": {"$ne": NEXT_CODE}}) == [entry.job_key]
    assert ledger.jobs.keys_in("demo", DONE, match={"code_version": {"$ne": CODE}}) == []


def test_summaries_and_counts_tell_state_code_and_requests(ledger):
    new, ended = stored(ledger, 0), done(ledger, 1)
    ledger.run_counts.count_requested("demo", {new.job_key: 0})
    assert ledger.jobs.summaries("demo", [new.job_key, ended.job_key]) == {
        new.job_key: (NEW, None, 1),
        ended.job_key: (DONE, CODE, 0),
    }
    assert ledger.jobs.counts("demo") == {NEW: 1, RUNNING: 0, DONE: 1, FAILED: 0, ARCHIVED: 0}


def test_every_request_is_counted_once_however_often_it_is_sent(ledger):
    first, second = (stored(ledger, n) for n in range(2))
    together(10, lambda _: ledger.run_counts.count_requested("demo", {first.job_key: 0}))
    together(10, lambda n: ledger.run_counts.count_requested("demo", {first.job_key: 1, second.job_key: n % 2}))
    assert [now(ledger, e).requests for e in (first, second)] in ([2, 1], [2, 2])
    assert now(ledger, first).unstarted_runs == 2
    assert now(ledger, first).requested_at is not None


def test_running_runs_are_those_that_hold_leases(ledger):
    for number, run in enumerate(["r1", "r1", "r2"]):
        claim(ledger, stored(ledger, number), run_id=run)
    done(ledger, 9)
    assert sorted(ledger.claims.run_ids("demo")) == ["r1", "r2"]
    assert ledger.claims.run_ids("other") == []


# -- work ----------------------------------------------------------------------------------------------------------


def test_a_claim_sets_state_owner_attempt_and_lease(ledger):
    claimed = claim(ledger, stored(ledger), run_id="r1", owner="w1")
    assert (claimed.state, claimed.attempt_number) == (RUNNING, 1)
    assert (claimed.lease.owner, claimed.lease.attempt, claimed.lease.run_id) == ("w1", "a1", "r1")
    assert timedelta(seconds=50) < claimed.lease.until - ledger.mongo.now() <= timedelta(seconds=ledger.lease_s)
    (attempt,) = claimed.attempts
    assert (attempt.attempt, attempt.run_id, attempt.code_version, attempt.ended) == ("a1", "r1", CODE, None)


def test_a_claimed_job_cannot_be_claimed(ledger):
    entry = stored(ledger)
    claim(ledger, entry)
    assert claim(ledger, entry, "a2", states=tuple(JobState)[:1]) is None
    assert now(ledger, entry).lease.attempt == "a1"
    assert now(ledger, entry).attempt_number == 1


def test_the_same_claim_made_twice_counts_once(ledger):
    entry = stored(ledger)
    assert claim(ledger, entry) == claim(ledger, entry)
    assert now(ledger, entry).attempt_number == 1


@pytest.mark.parametrize(("ended", "state"), [(done, DONE), (failed, FAILED)])
def test_a_job_is_claimed_only_from_the_states_that_are_named(ledger, ended, state):
    entry = ended(ledger)
    assert claim(ledger, entry, "a2", states=[s for s in (NEW, DONE, FAILED) if s is not state]) is None
    assert claim(ledger, entry, "a2", states=[state]).lease.attempt == "a2"


def test_an_unknown_job_cannot_be_claimed(ledger):
    entry = stored(ledger).model_copy(update={"job_key": "unknown"})
    assert claim(ledger, entry) is None
    assert ledger.jobs.get("demo", "unknown") is None


def test_of_two_workers_that_claim_a_job_exactly_one_wins(ledger):
    entry = stored(ledger)
    claims = together(2, lambda n: claim(ledger, entry, f"a{n}"))
    assert Counter(c is not None for c in claims) == {True: 1, False: 1}


def test_twenty_workers_share_fifty_jobs_without_overlap(ledger):
    entries = [stored(ledger, n) for n in range(50)]

    def work(number):
        mine = [e for i, e in enumerate(entries[number:] + entries[:number]) if claim(ledger, e, f"{number}/{i}")]
        return [e.job_key for e in mine]

    taken = [key for keys in together(20, work) for key in keys]
    assert sorted(taken) == sorted(e.job_key for e in entries)
    assert all(e.attempt_number == 1 for e in ledger.jobs.get_many("demo", taken).values())


def test_an_expired_lease_is_taken_over_whatever_the_states(ledger, brief):
    entry = stored(ledger)
    claim(brief, entry, "old")
    claimed = claim(ledger, entry, "new", states=[])
    assert (claimed.lease.attempt, claimed.attempt_number) == ("new", 2)
    assert [a.attempt for a in claimed.attempts] == ["old", "new"]
    assert ledger.jobs.get(entry.analysis, entry.job_key).lease.attempt == "new"


def test_an_expired_lease_is_taken_over_by_exactly_one(ledger, brief):
    entry = stored(ledger)
    claim(brief, entry, "old")
    assert sum(c is not None for c in together(8, lambda n: claim(ledger, entry, f"a{n}"))) == 1


def test_a_worker_extends_all_its_leases_and_no_other(ledger):
    mine = [claim(ledger, stored(ledger, n), f"a{n}", owner="me") for n in range(2)]
    other = claim(ledger, stored(ledger, 2), "a2", owner="other")
    ended = claim(ledger, stored(ledger, 3), "a3", owner="me")
    finish(ledger, ended, "a3")
    assert ledger.claims.extend("me") == 2
    assert all(now(ledger, e).lease.until > e.lease.until for e in mine)
    assert now(ledger, other).lease == other.lease
    assert now(ledger, ended).lease is None


def test_a_lease_that_was_taken_over_is_not_extended(ledger, brief):
    entry = stored(ledger)
    claim(brief, entry, "old", owner="old")
    claim(ledger, entry, "new", owner="new")
    assert ledger.claims.extend("old") == 0


def test_a_finished_job_is_done_with_its_result(ledger):
    entry = done(ledger)
    assert (entry.state, entry.result_id, entry.code_version) == (DONE, "result", CODE)
    assert entry.lease is entry.error is entry.force is None
    assert (entry.attempts[0].outcome, entry.attempts[0].error) == ("done", None)
    assert entry.attempts[0].ended >= entry.attempts[0].started


def test_a_failed_job_keeps_its_error_with_the_attempt(ledger):
    entry = failed(ledger)
    assert (entry.state, entry.error, entry.code_version, entry.lease) == (FAILED, ERROR, CODE, None)
    assert (entry.attempts[0].outcome, entry.attempts[0].error) == ("failed", ERROR)


def test_a_finished_job_forgets_its_error_and_the_request_to_compute_it(ledger):
    entry = failed(ledger)
    ledger.requests.requeue("demo", [entry.job_key], who="me", reason="why", force=True)
    claim(ledger, entry, "a2")
    finish(ledger, entry, "a2")
    assert now(ledger, entry).error is now(ledger, entry).force is None
    assert [a.outcome for a in now(ledger, entry).attempts] == ["failed", "done"]


def test_a_released_job_is_new_and_keeps_the_request_to_compute_it(ledger):
    entry = stored(ledger)
    ledger.requests.requeue("demo", [entry.job_key], who="me", reason="why", force=True)
    claim(ledger, entry)
    ledger.claims.release(entry, attempt="a1")
    again = now(ledger, entry)
    assert (again.state, again.lease, again.attempts[0].outcome) == (NEW, None, "released")
    assert again.force.reason == "why"


@pytest.mark.parametrize(
    "end",
    [
        lambda ledger, entry: finish(ledger, entry, "old"),
        lambda ledger, entry: fail(ledger, entry, "old"),
        lambda ledger, entry: ledger.claims.release(entry, attempt="old"),
    ],
    ids=["finish", "fail", "release"],
)
@pytest.mark.parametrize("lost_to", ["another worker", "repair", "a result"])
def test_nothing_ends_a_job_whose_lease_was_lost(ledger, brief, end, lost_to):
    entry = stored(ledger)
    claim(brief, entry, "old")
    if lost_to == "repair":
        ledger.claims.release_lost("demo", dead_runs=[])
    else:
        claim(ledger, entry, "new")
        if lost_to == "a result":
            finish(ledger, entry, "new")
    before = now(ledger, entry)
    end(ledger, entry)
    assert now(ledger, entry) == before


def test_ending_an_attempt_twice_changes_nothing(ledger):
    entry = done(ledger)
    fail(ledger, entry)
    assert now(ledger, entry) == entry


def test_only_the_latest_attempts_are_kept_and_the_running_one_is_among_them(ledger):
    entry = stored(ledger)
    for number in range(KEPT_ATTEMPTS + 5):
        claim(ledger, entry, f"a{number}")
        ledger.claims.release(entry, attempt=f"a{number}")
    kept = now(ledger, entry)
    assert kept.attempt_number == KEPT_ATTEMPTS + 5
    assert [a.attempt for a in kept.attempts] == [f"a{n}" for n in range(5, KEPT_ATTEMPTS + 5)]
    assert all(a.outcome == "released" for a in kept.attempts)


# -- settling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [stored, failed, done])
def test_a_job_that_is_not_claimed_is_marked(ledger, before):
    entry = before(ledger)
    ledger.claims.mark_unclaimed(entry, state=DONE, code_version=NEXT_CODE, result_id="r", error=None)
    settled = now(ledger, entry)
    assert (settled.state, settled.code_version, settled.result_id, settled.error) == (DONE, NEXT_CODE, "r", None)


def test_settling_never_touches_a_live_claim(ledger):
    entry = stored(ledger)
    claimed = claim(ledger, entry)
    ledger.claims.mark_unclaimed(entry, state=FAILED, code_version=CODE, error=ERROR.model_dump())
    assert now(ledger, entry) == claimed


def test_settling_ends_an_expired_claim(ledger, brief):
    entry = claim(brief, stored(ledger))
    ledger.claims.mark_unclaimed(entry, state=DONE, code_version=CODE, result_id="r")
    assert (now(ledger, entry).state, now(ledger, entry).lease) == (DONE, None)


def test_marking_a_job_keeps_a_request_that_came_after_the_entry_was_read(ledger):
    entry = done(ledger)
    ledger.requests.requeue("demo", [entry.job_key], who="me", reason="why", force=True)
    ledger.claims.mark_unclaimed(entry, state=DONE, code_version=CODE, result_id="r")
    wished = now(ledger, entry)
    assert (wished.state, wished.force.reason) == (NEW, "why")
    ledger.claims.mark_unclaimed(wished, state=DONE, code_version=CODE, result_id="r")
    assert (now(ledger, entry).state, now(ledger, entry).force) == (DONE, None)


def test_settling_has_no_effect_once_the_job_was_requested_again_since(ledger):
    """It is in the same state as when it was read; only the count of its changes shows that its result was invalidated."""
    entry = stored(ledger)
    finish(ledger, claim(ledger, entry))
    assert ledger.requests.invalidate(now(ledger, entry), who="me", reason="why", code_version=CODE) is not None
    ledger.requests.requeue("demo", [entry.job_key], who="me")
    ledger.claims.mark_unclaimed(entry, state=DONE, code_version=CODE, result_id="r")
    assert now(ledger, entry).state is NEW


# -- force ---------------------------------------------------------------------------------------------------------


def test_a_force_survives_failures_and_ends_with_a_result(ledger):
    entry = done(ledger)
    ledger.requests.requeue("demo", [entry.job_key], who="me", reason="why", force=True)
    first = claim(ledger, now(ledger, entry), attempt="a1")
    ledger.claims.fail(first, attempt="a1", code_version=CODE, error=ERROR)
    assert now(ledger, entry).force.reason == "why"
    ledger.requests.requeue("demo", [entry.job_key], who="somebody else")
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


# -- commits -------------------------------------------------------------------------------------------------------


def test_a_commit_and_a_cancellation_exclude_each_other(ledger):
    entry = claim(ledger, stored(ledger), attempt="a1")
    how = Commit(attempt="a1", result_id="r")
    assert ledger.commits.begin(entry, how, attempt="a1")
    assert ledger.commits.begin(entry, how, attempt="a1"), "repeated after a lost answer"
    assert cancelled(ledger, entry) == 0
    ledger.claims.release(entry, attempt="a1")
    assert cancelled(ledger, entry) == 0, "the run that released it may still insert the record"
    assert ledger.commits.in_use() == {"a1"}
    again = claim(ledger, now(ledger, entry), attempt="a2")
    assert again.committing == how
    ledger.commits.end(again, how, attempt="a2", is_done=True)
    assert cancelled(ledger, entry) == 1
    assert not ledger.commits.begin(again, how, attempt="a2")


def test_an_attempt_is_removed_or_committed_and_never_both(ledger):
    entry = claim(ledger, stored(ledger), attempt="a1")
    ledger.claims.release(entry, attempt="a1")
    assert ledger.commits.drop("demo", entry.job_key, "a1")
    again = claim(ledger, now(ledger, entry), attempt="a2")
    assert not ledger.commits.begin(again, Commit(attempt="a1", result_id="r"), attempt="a2")
    assert ledger.commits.begin(again, Commit(attempt="a2", result_id="r"), attempt="a2")
    assert not ledger.commits.drop("demo", entry.job_key, "a2")
    assert ledger.commits.drop("demo", "unknown", "a2"), "no job could commit it"


# -- repair --------------------------------------------------------------------------------------------------------


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


# -- a server that dies --------------------------------------------------------------------------------------------


def test_a_killed_server_forgets_no_job_and_no_claim(tmp_path, database):
    with serving(tmp_path) as addresses:
        mongo = MongoConnection(uri=addresses.docdb_uri, database=database)
        ledger = Ledger(mongo=mongo, records_name="records")
        entries = [stored(ledger, number) for number in range(3)]
        claim(ledger, entries[0])
        claim(ledger, entries[1])
        finish(ledger, entries[1])
        os.kill(server_pids(tmp_path)["mongo"], signal.SIGKILL)
        assert [now(ledger, entry).state for entry in entries] == [RUNNING, DONE, NEW]
        mongo.close()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"lease.owner": {"$gt": ""}}, "lease.owner_1"),
        ({"analysis": "demo", "state": "failed", "retry_at": {"$lte": NOW}, "rounds": {"$gte": 0}}, "retry_at_1"),
    ],
    ids=["claims at work", "rounds that are due"],
)
def test_what_every_tick_asks_is_found_by_an_index_that_is_as_small_as_the_answer(ledger, query, index):
    for number in range(30):
        entry = stored(ledger, number)
        ledger.claims.mark_unclaimed(entry, state=FAILED, code_version=CODE, error=ERROR.model_dump())
    plan = str(jobs_of(ledger).find(query).explain()["queryPlanner"]["winningPlan"])
    assert index in plan
    assert "COLLSCAN" not in plan


def test_running_claims_are_named_with_their_runs(ledger):
    entry = stored(ledger)
    assert ledger.claims.runs_by_attempt() == {}
    ledger.claims.claim(entry, attempt="a", owner="o", run_id="r", code_version=CODE, states=[NEW])
    assert ledger.claims.runs_by_attempt() == {"a": "r"}
    ledger.claims.release(entry, attempt="a")
    assert ledger.claims.runs_by_attempt() == {}


def test_failures_come_without_tracebacks_and_logs(ledger):
    entry = failed(ledger)
    stored(ledger, 1)
    (found,) = ledger.jobs.failures("demo")
    assert (found.job_key, found.error.message) == (entry.job_key, ERROR.message)
    assert found.error.traceback == found.error.log == ""
    assert [attempt.error for attempt in found.attempts] == [None]
    assert list(ledger.jobs.failures("other")) == []


def test_every_change_of_state_is_the_last_change(ledger):
    assert ledger.jobs.last_change("demo") is None
    entry = stored(ledger)
    times = [ledger.jobs.last_change("demo")]
    for change in (claim, fail):
        change(ledger, entry)
        times.append(ledger.jobs.last_change("demo"))
    assert times == sorted(times)
    assert times[-1] == jobs_of(ledger).find_one({})["updated"]
    jobs_of(ledger).update_one({}, {"$set": {"updated": "damaged"}})
    assert ledger.jobs.last_change("demo") is None
