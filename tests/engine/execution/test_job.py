"""One job: what is reused, what is computed again, and what an earlier attempt left."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import OutputError, ServerUnavailableError
from domain.job.state import JobState
from domain.result.records import to_record
from engine.execution.batch import Pace
from engine.execution.publish import read_record
from resources.ledger.claims import JobClaims
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from tests.raw import records_of, superseded_of


@pytest.fixture
def done(misbehave, marks):
    """Give a job with a result, and the result's record."""
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    assert misbehave.work(key)[key].kind == "computed"
    return key, misbehave.record(key)


def drop(platform, location, name):
    """Delete one file of a result."""
    bucket, _, key = f"{location}/{name}".removeprefix("s3://").partition("/")
    platform.services.results.s3.client.delete_object(Bucket=bucket, Key=key)


HARM = [
    ({"number.txt": None}, "number.txt is missing"),
    ({"metadata.nd.json": None}, "metadata.nd.json is missing"),
    ({"manifest.json": None}, "manifest.json is missing"),
    ({"number.txt": b"12345"}, "number.txt has 5 bytes instead of 1"),
    ({"number.txt": b"x"}, "the content of a file has changed"),
    ({"more.txt": b"?"}, "more.txt is new"),
    ({"more.txt": b"?", "manifest.json": b"{"}, "manifest.json cannot be read"),
    ({"more.txt": b"?", "manifest.json": b"[]"}, "manifest.json cannot be read"),
]


def change_files(platform, location, harm):
    """Delete files of a result, or write others in their place."""
    for name, content in harm.items():
        if content is None:
            drop(platform, location, name)
        else:
            platform.services.results.put_bytes(location, name, content)


def test_results_whose_files_differ_are_reported_and_computed_again(misbehave, marks):
    keys = misbehave.ingest(*[{"number": n, "note": marks[0]} for n in range(len(HARM))])
    misbehave.work(*keys)
    olds = [misbehave.record(key)["location"] for key in keys]
    for old, (harm, _) in zip(olds, HARM, strict=True):
        change_files(misbehave, old, harm)
    found = misbehave.work(*keys)
    for key, old, (_, reported) in zip(keys, olds, HARM, strict=True):
        assert found[key].kind == "computed"
        assert reported in found[key].notes[0]
        assert found[key].notes[0].startswith(f"The files of {old} are not what was published")
        assert misbehave.record(key)["location"] != old
        (kept,) = misbehave.superseded(key)
        assert kept["location"] == old
        assert reported in kept["superseded"]["reason"]
    assert marks[1]() == 2 * len(HARM)
    assert {outcome.kind for outcome in misbehave.work(*keys).values()} == {"reused"}


def test_the_request_of_an_operator_forces_one_new_attempt_and_keeps_who_and_why(misbehave, marks, done):
    key, _ = done
    misbehave.services.ledger.requests.requeue("misbehave", [key], who="somebody", reason="wrong probe", force=True)
    assert misbehave.work(key)[key].provenance.reason == "wrong probe"
    (kept,) = misbehave.superseded(key)
    assert (kept["superseded"]["who"], kept["superseded"]["reason"]) == ("somebody", "wrong probe")
    assert misbehave.job(key).force is None
    assert misbehave.work(key)[key].kind == "reused"
    assert marks[1]() == 2


def test_a_person_without_a_user_name_is_named_by_number(misbehave, done, monkeypatch):
    def without_user():
        raise KeyError

    monkeypatch.setattr("getpass.getuser", without_user)
    key, _ = done
    assert misbehave.work(key, force_reason="again")[key].kind == "computed"
    assert misbehave.superseded(key)[0]["superseded"]["who"].startswith("user ")


def test_a_complete_attempt_without_a_record_is_committed_without_executing(misbehave, marks, done):
    key, record = done
    records_of(misbehave.services.records).delete_one({"_id": record["_id"]})
    misbehave.change(key, state="new")
    outcome = misbehave.work(key)[key]
    assert outcome.kind == "computed"
    assert outcome.provenance.location == record["location"]
    assert misbehave.record(key) == record
    assert marks[1]() == 1
    assert misbehave.job(key).state is JobState.DONE


def test_attempts_that_cannot_be_read_hold_up_no_other(misbehave, marks):
    contents = [b"{", b"[]", b"{}", b'{"_id": "x", "processing": null}', "another's"]
    keys = misbehave.ingest(*[{"number": n, "note": marks[0]} for n in range(len(contents) + 1)])
    misbehave.work(*keys)
    records = [misbehave.record(key) for key in keys]
    drop(misbehave, records[-1]["location"], "number.txt")
    for record, content in zip(records, contents, strict=False):
        data = json.dumps({**record, "_id": "0" * 64}).encode() if content == "another's" else content
        misbehave.services.results.put_bytes(record["location"], "metadata.nd.json", data)
    for key, record in zip(keys, records, strict=True):
        records_of(misbehave.services.records).delete_one({"_id": record["_id"]})
        misbehave.change(key, state="new")
    assert {outcome.kind for outcome in misbehave.work(*keys).values()} == {"computed"}
    for key, record in zip(keys, records, strict=True):
        assert misbehave.record(key)["location"] != record["location"]
    assert marks[1]() == 2 * len(keys)


def test_a_superseded_attempt_is_not_raised_from_the_dead(misbehave, marks, done):
    key, old = done
    superseded = superseded_of(misbehave.services.records)
    superseded.insert_one({**old, "_id": f"{old['_id']}/{old['analysis_assets']['attempt']}"})
    records_of(misbehave.services.records).delete_one({"_id": old["_id"]})
    misbehave.change(key, state="new")
    assert misbehave.work(key)[key].provenance.location != old["location"]
    assert marks[1]() == 2


def test_a_record_that_cannot_be_read_fails_its_job_alone(misbehave, done):
    key, record = done
    (other,) = misbehave.ingest({"number": 8})
    records_of(misbehave.services.records).update_one({"_id": record["_id"]}, {"$unset": {"processing": ""}})
    found = misbehave.work(key, other)
    assert found[key].error.kind == "output"
    assert "was damaged" in found[key].error.message
    assert found[other].kind == "computed"
    assert misbehave.job(key).state is JobState.FAILED


def test_a_fault_of_the_platform_while_publishing_fails_its_job_alone(misbehave):
    first, second = misbehave.ingest({"number": 1}, {"number": 2})

    class Broken(RecordStore):
        """Records, of which one cannot be inserted."""

        def commit(self, record, **how):
            """Insert a record."""
            if record["analysis_assets"]["job_key"] == first:
                raise ZeroDivisionError
            return super().commit(record, **how)

    found = misbehave.having(records=misbehave.records(Broken)).work(first, second)
    assert (found[first].error.kind, found[first].error.permanent) == ("platform", True)
    assert found[second].kind == "computed"


def test_a_server_that_is_away_for_a_moment_costs_an_attempt_not_the_job(misbehave, marks):
    (key,) = misbehave.ingest({"number": 1, "note": marks[0]})
    calls = []

    class Sometimes(ResultsStore):
        """Results whose server does not answer once."""

        def put_bytes(self, *args):
            """Write a file, but not the first one."""
            calls.append(args)
            if len(calls) == 1:
                message = "S3 did not answer"
                raise ServerUnavailableError(message)
            return super().put_bytes(*args)

    outcome = misbehave.having(results=misbehave.results(Sometimes)).work(key)[key]
    assert outcome.kind == "computed"
    assert "S3 did not answer" in outcome.notes[0]
    assert [a.outcome for a in misbehave.job(key).attempts] == ["released", "done"]


def test_a_server_that_stays_away_fails_the_job_for_now_but_leaves_a_finished_one_done(misbehave, done):
    key, _ = done
    (new,) = misbehave.ingest({"number": 8})

    class Away(ResultsStore):
        """Results whose server does not answer."""

        def list_files(self, *_):
            """List nothing."""
            message = "S3 did not answer"
            raise ServerUnavailableError(message)

        put_bytes = list_files

    found = misbehave.having(results=misbehave.results(Away)).work(key, new)
    for k in (key, new):
        assert (found[k].error.kind, found[k].error.permanent) == ("server", False)
    assert misbehave.job(key).state is JobState.DONE
    assert misbehave.job(new).state is JobState.FAILED


def test_of_twenty_runs_that_race_for_one_job_one_executes(misbehave, marks):
    (key,) = misbehave.ingest({"number": 1, "note": marks[0], "mode": "sleep", "seconds": 0.2})
    start = threading.Barrier(20)

    def race(_):
        with misbehave.batch() as batch:
            start.wait(30)
            ((outcome,),) = batch.outcomes([key])
            batch.settled([outcome])
            return outcome

    with ThreadPoolExecutor(20) as threads:
        outcomes = list(threads.map(race, range(20)))
    assert sorted(o.kind for o in outcomes) == ["computed"] + ["reused"] * 19
    assert len({o.provenance.attempt for o in outcomes}) == 1
    assert marks[1]() == 1
    assert len(misbehave.attempts_stored(key)) == 1
    assert (misbehave.job(key).state, misbehave.job(key).attempt_number) == (JobState.DONE, 1)


def test_the_commit_of_a_run_that_stands_still_is_finished_by_the_next_one(misbehave, marks):
    (key,) = misbehave.ingest({"number": 1, "note": marks[0]})
    slow, go_on = threading.Event(), threading.Event()

    class Hesitates(RecordStore):
        """Records whose insertion stands still."""

        def commit(self, record, **how):
            """Insert a record when it is allowed."""
            slow.set()
            assert go_on.wait(60)
            return super().commit(record, **how)

    hesitant = misbehave.having(records=misbehave.records(Hesitates))
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(hesitant.work, key)
        assert slow.wait(60)
        misbehave.change(key, **{"lease.until": misbehave.services.ledger.now()})  # the slow one stands still
        second = misbehave.work(key)[key]
        go_on.set()
        late = first.result()[key]
    assert (second.kind, late.kind) == ("reused", "computed")
    assert misbehave.attempts_stored(key) == {late.provenance.attempt} == {second.provenance.attempt}
    assert (misbehave.job(key).state, misbehave.job(key).committing) == (JobState.DONE, None)
    assert marks[1]() == 1


def test_a_result_that_appears_just_before_the_claim_is_taken(misbehave, marks, done):
    key, record = done
    answers = [None]

    class Late(RecordStore):
        """Records that appear at the second query."""

        def get(self, result):
            """Read a record."""
            return answers.pop() if answers else super().get(result)

    outcome = misbehave.having(records=misbehave.records(Late)).work(key)[key]
    assert outcome.kind == "reused"
    assert outcome.provenance.location == record["location"]
    assert marks[1]() == 1
    assert misbehave.job(key).state is JobState.DONE


def test_a_job_that_another_run_has_is_waited_for(misbehave, marks):
    held, free = misbehave.ingest({"number": 1, "note": marks[0]}, {"number": 2})
    ledger = misbehave.services.ledger
    entry = ledger.claims.claim(
        misbehave.job(held), attempt="other", owner="other", run_id="other", code_version="1", states=[JobState.NEW]
    )
    threading.Timer(3, lambda: ledger.claims.release(entry, attempt="other")).start()
    with misbehave.batch(pace=Pace(poll_s=0.05)) as batch:
        ended = []
        for outcomes in batch.outcomes([held, free]):
            batch.settled(outcomes)
            ended += [(outcome.job_key, outcome.kind) for outcome in outcomes]
    assert ended == [(free, "computed"), (held, "computed")]
    assert marks[1]() == 1


def test_a_file_that_changed_since_the_run_was_made_is_not_executed(make_platform, misbehave, marks, tmp_path):
    copy = tmp_path / "lab" / "misbehave.py"
    copy.parent.mkdir()
    copy.write_text(misbehave.entry.path.read_text())
    platform = make_platform(copy)
    copy.write_text(copy.read_text() + "\nMORE = 1\n")
    (key,) = platform.ingest({"note": marks[0]})
    error = platform.work(key)[key].error
    assert "changed while the run was using it" in error.message
    assert not error.permanent
    assert marks[1]() == 0


def test_the_record_is_what_the_provenance_says(misbehave, done):
    key, record = done
    outcome = misbehave.work(key)[key]
    assert to_record(outcome.provenance) == record
    assert outcome.provenance.run_id
    assert outcome.provenance.started <= outcome.provenance.ended
    assert time.time() - outcome.provenance.ended.timestamp() < 600


class NoEnds(JobClaims):
    """Claims whose server does not answer when the end of an unclaimed job is to be recorded."""

    def mark_unclaimed(self, *_, **__):
        """Record nothing."""
        message = "MongoDB did not answer"
        raise ServerUnavailableError(message)


class NoFailures(Ledger):
    """A ledger with such claims."""

    @property
    def claims(self):
        """Give them."""
        return NoEnds(self._jobs, self.now, self.lease_s)


def test_an_error_that_ends_a_run_names_the_job(misbehave, done):
    key, record = done
    platform = misbehave.having(ledger=misbehave.ledger_with_leases_of(60, kind=NoFailures))
    with pytest.raises(ServerUnavailableError) as raised:
        platform.work(key)  # reused, which is to be recorded
    assert (raised.value.analysis, raised.value.job_key) == ("misbehave", key)
    records_of(misbehave.services.records).update_one({"_id": record["_id"]}, {"$unset": {"processing": ""}})
    with pytest.raises(ServerUnavailableError) as raised:
        platform.work(key)  # fails before its claim, which is to be recorded
    assert (raised.value.analysis, raised.value.job_key) == ("misbehave", key)


def test_a_damaged_record_is_refused_with_its_job(misbehave, done):
    key, record = done
    with pytest.raises(OutputError, match="cannot be read") as raised:
        read_record({"_id": record["_id"]}, misbehave.job(key))
    assert (raised.value.analysis, raised.value.job_key) == ("misbehave", key)
