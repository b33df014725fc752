"""What the ledger gives back: entries, summaries, indexes, and everything after its server was killed."""

import os
import signal

import pytest

from resources.embedded.embedded import server_pids, serving
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from tests.raw import jobs_of
from tests.resources.ledger.ledger_jobs import (
    ARCHIVED,
    CODE,
    DONE,
    ERROR,
    FAILED,
    NEW,
    NEXT_CODE,
    NOW,
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
