"""Commits that a run has begun and another one finishes, and attempts that may not be committed."""

import pytest

from domain.job.state import JobState
from domain.result.records import to_record
from resources.records.reader import attempt_of
from resources.records.store import RecordStore
from tests.raw import records_of


@pytest.fixture
def uncommitted(misbehave, marks):
    """Give a new job whose first attempt is complete and has begun its commit, as after a crash before the insert."""
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    assert misbehave.work(key)[key].kind == "computed"
    record = misbehave.record(key)
    records_of(misbehave.services.records).delete_one({"_id": record["_id"]})
    begun = {"attempt": attempt_of(record), "result_id": record["_id"], "replaces": None, "who": "", "reason": ""}
    misbehave.change(key, state="new", committing=begun)
    return key, record


def refusing(attempts, answer):
    """Make records that refuse some attempts: they raise an error, or say that the attempt was invalidated."""

    class Refusing(RecordStore):
        """Records that refuse some attempts."""

        def commit(self, record, **how):
            """Insert a record."""
            if attempt_of(record) in attempts or not attempts:
                attempts.append(attempt_of(record))
                if answer is None:
                    return None
                raise answer
            return super().commit(record, **how)

    return Refusing


def test_a_commit_that_has_begun_is_finished_without_executing(misbehave, marks, uncommitted):
    key, record = uncommitted
    assert misbehave.work(key)[key].kind == "reused"
    assert misbehave.record(key) == record
    assert (misbehave.job(key).state, misbehave.job(key).committing) == (JobState.DONE, None)
    assert marks[1]() == 1


def test_a_commit_that_has_begun_is_finished_before_a_forced_job_is_computed(misbehave, marks, uncommitted):
    key, record = uncommitted
    misbehave.services.ledger.requests.requeue(misbehave.name, [key], who="ann", reason="drift", force=True)
    assert misbehave.work(key)[key].kind == "computed"
    assert misbehave.record(key)["location"] != record["location"]
    assert [kept["location"] for kept in misbehave.superseded(key)] == [record["location"]]
    assert marks[1]() == 2


def test_an_attempt_whose_files_are_gone_is_computed_again(misbehave, marks, uncommitted):
    key, record = uncommitted
    misbehave.services.results.discard(record["location"])
    assert misbehave.work(key)[key].kind == "computed"
    assert misbehave.job(key).committing is None
    assert marks[1]() == 2


def test_a_record_that_is_refused_for_good_does_not_hold_up_its_job(misbehave, marks, uncommitted):
    key, record = uncommitted
    run = misbehave.having(records=misbehave.records(refusing([attempt_of(record)], ValueError("too large"))))
    found = run.work(key)[key]
    assert (found.kind, found.error) == ("computed", None)
    assert misbehave.record(key)["location"] != record["location"]
    assert marks[1]() == 2


def test_an_attempt_whose_files_are_being_removed_is_not_committed(misbehave, marks, uncommitted):
    key, record = uncommitted
    misbehave.change(key, committing=None)
    assert misbehave.services.ledger.commits.drop(misbehave.name, key, attempt_of(record))
    assert misbehave.work(key)[key].kind == "computed"
    assert misbehave.record(key)["location"] != record["location"]
    assert marks[1]() == 2


def test_an_attempt_that_was_invalidated_while_it_was_committed_is_followed_by_another(misbehave, marks):
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    refused = []
    run = misbehave.having(records=misbehave.records(refusing(refused, None)))
    found = run.work(key)[key]
    assert found.kind == "computed"
    assert found.provenance.attempt not in refused
    assert "was changed while attempt" in found.notes[0]
    assert marks[1]() == 2


def test_of_a_run_launched_with_force_only_its_own_result_is_the_answer(misbehave, marks, uncommitted):
    key, record = uncommitted
    assert misbehave.work(key, force_reason="look again")[key].kind == "computed"
    assert misbehave.record(key)["location"] != record["location"]
    assert marks[1]() == 2


def test_an_archived_job_is_not_run(misbehave, marks):
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    misbehave.work(key)
    assert misbehave.services.ledger.requests.archive(misbehave.name, [key]) == 1
    found = misbehave.work(key, by_hand=True, force_reason="look again")[key]
    assert "The job is archived. To run it:  analysis archive misbehave --restore --key" in found.error.message
    assert misbehave.job(key).state is JobState.ARCHIVED


def test_a_record_of_an_earlier_attempt_is_replaced_by_the_one_after_a_force(misbehave, marks):
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    first = misbehave.work(key)[key].provenance
    misbehave.services.ledger.requests.requeue(misbehave.name, [key], who="ann", reason="drift", force=True)
    second = misbehave.work(key)[key].provenance
    misbehave.change(key, state="new", force={"who": "ann", "reason": "drift", "when": None})
    assert misbehave.work(key)[key].kind == "reused", "cut off before the ledger: the force has its answer"
    assert attempt_of(misbehave.record(key)) == second.attempt != first.attempt
    assert misbehave.job(key).force is None
    late = to_record(first)
    assert misbehave.services.records.commit(late, replaces=[second.attempt]) == misbehave.record(key)
    assert marks[1]() == 2
