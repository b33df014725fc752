"""Claims, leases and the ends of attempts."""

from collections import Counter
from datetime import timedelta

import pytest

from domain.job.state import JobState
from resources.ledger.claims import KEPT_ATTEMPTS
from tests.resources.ledger.ledger_jobs import (
    CODE,
    DONE,
    ERROR,
    FAILED,
    NEW,
    NEXT_CODE,
    RUNNING,
    claim,
    done,
    fail,
    failed,
    finish,
    now,
    stored,
    together,
)


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
