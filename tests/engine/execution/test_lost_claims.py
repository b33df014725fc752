"""A job that is taken away from its worker: its process ends, and nothing of it is published."""

import threading
import uuid

import pytest

from domain.job.state import JobState
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from tests.waiting import PATIENCE_S, wait_for


@pytest.fixture
def running_job(misbehave, marks):
    """Give a job whose process has begun in a run of its own, and what becomes of it."""
    run = misbehave.having(ledger=misbehave.ledger_with_leases_of(0.4))
    (key,) = misbehave.ingest({"mode": "hang", "note": marks[0]})
    found = {}
    thread = threading.Thread(target=lambda: found.update(run.work(key)))
    thread.start()
    wait_for(marks[1], "the job did not begin")
    return key, thread, found


def cancel(platform, *keys):
    version = platform.entry.code_version
    return platform.services.ledger.requests.cancel(
        platform.name, keys, who="ann", reason="wrong probe", code_version=version
    )


def test_a_cancelled_job_ends_at_the_next_heartbeat_and_publishes_nothing(misbehave, running_job):
    key, thread, found = running_job
    assert cancel(misbehave, key) == 1
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert (found[key].kind, found[key].error.kind) == ("failed", "cancelled")
    job = misbehave.job(key)
    assert (job.state, job.lease, job.error.message) == (JobState.FAILED, None, "Cancelled by ann: wrong probe")
    assert misbehave.record(key) is None
    assert misbehave.attempts_stored(key) == set()


def test_a_job_that_another_run_has_claimed_is_left_to_it(misbehave, running_job):
    key, thread, found = running_job
    ledger = misbehave.ledger_with_leases_of(600.0)
    misbehave.change(key, **{"lease.until": ledger.mongo.now()})
    taken = None
    while taken is None:  # the old owner may extend its lease once more in between
        misbehave.change(key, **{"lease.until": ledger.mongo.now()})
        taken = ledger.claims.claim(
            misbehave.job(key),
            attempt=str(uuid.uuid4()),
            owner="another",
            run_id="another",
            code_version=misbehave.entry.code_version,
            states=[],
        )
    thread.join(3)
    assert thread.is_alive(), "the run waits until the other one has an end"
    ledger.requests.cancel(misbehave.name, [key], who="ann", reason="enough", code_version=misbehave.entry.code_version)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert found[key].error.kind == "cancelled"
    assert [a.outcome for a in misbehave.job(key).attempts] == [None, None]


def cancelling(misbehave, key, file):
    """Give results whose job is cancelled before one of its files is written."""

    class Cancelling(ResultsStore):
        """Results whose job is cancelled meanwhile."""

        def put_file(self, location, path, *rest):
            """Write a file of the analysis."""
            if path == file:
                assert cancel(misbehave, key) == 1
            return super().put_file(location, path, *rest)

        def put_bytes(self, location, path, *rest):
            """Write a file of the platform."""
            if path == file:
                assert cancel(misbehave, key) == 1
            return super().put_bytes(location, path, *rest)

    return misbehave.having(results=misbehave.results(Cancelling))


@pytest.mark.parametrize(("file", "is_left"), [("analysis.log", False), ("metadata.nd.json", True)])
def test_a_job_that_is_cancelled_while_it_publishes_is_not_published(misbehave, marks, file, is_left):
    (key,) = misbehave.ingest({"number": 1, "note": marks[0]})
    assert cancelling(misbehave, key, file).work(key)[key].error.kind == "cancelled"
    assert misbehave.record(key) is None
    assert len(misbehave.attempts_stored(key)) == is_left, "a complete attempt stays until the job is requested again"
    assert marks[1]() == 1
    misbehave.services.ledger.requests.requeue(misbehave.name, [key], who="ann")
    assert misbehave.work(key)[key].kind == "computed"
    assert marks[1]() == (1 if is_left else 2)


def test_a_job_whose_record_is_being_inserted_is_not_cancelled(misbehave):
    (key,) = misbehave.ingest({"number": 1})
    cancelled = []

    class Cancelling(RecordStore):
        """Records before whose insertion the job is cancelled."""

        def commit(self, record, **how):
            """Insert a record."""
            cancelled.append(cancel(misbehave, key))
            return super().commit(record, **how)

    assert misbehave.having(records=misbehave.records(Cancelling)).work(key)[key].kind == "computed"
    assert cancelled == [0]
    assert (misbehave.job(key).state, misbehave.job(key).committing) == (JobState.DONE, None)


def test_a_cancelled_job_is_computed_when_a_person_asks_again(misbehave):
    (key,) = misbehave.ingest({"number": 2})
    cancel(misbehave, key)
    assert misbehave.work(key)[key].error.kind == "cancelled", "a run of the sensor leaves it"
    misbehave.services.ledger.requests.requeue(misbehave.name, [key], who="ann")
    assert misbehave.work(key)[key].kind == "computed"


def test_an_invalidated_result_is_computed_again_and_never_committed_again(misbehave, marks):
    (key,) = misbehave.ingest({"number": 3, "note": marks[0]})
    first = misbehave.work(key)[key].provenance
    services, version = misbehave.services, misbehave.entry.code_version
    for _ in range(2):  # cut off and repeated
        assert services.ledger.requests.invalidate(
            misbehave.job(key), who="ann", reason="bad clock", code_version=version
        )
        if (record := misbehave.record(key)) is not None:
            services.records.invalidate(record, who="ann", reason="bad clock")
    assert misbehave.record(key) is None
    assert misbehave.work(key)[key].error.kind == "invalidated"
    services.ledger.requests.requeue(misbehave.name, [key], who="bob")
    second = misbehave.work(key)[key]
    assert second.kind == "computed"
    assert second.provenance.attempt != first.attempt
    assert marks[1]() == 2
    (old,) = misbehave.superseded(key)
    assert old["analysis_assets"]["attempt"] == first.attempt
    assert {k: v for k, v in old["superseded"].items() if k != "when"} == {
        "how": "invalidated",
        "who": "ann",
        "reason": "bad clock",
    }
    assert misbehave.attempts_stored(key) == {first.attempt, second.provenance.attempt}


def test_a_transient_failure_is_tried_again_later_as_often_as_the_policy_says(make_platform, misbehave):
    retry = misbehave.entry.analysis.retry.model_copy(
        update={"max_attempts": 1, "later_rounds": 2, "later_delay_s": 0.0}
    )
    analysis = misbehave.entry.analysis.model_copy(update={"retry": retry})
    platform = make_platform(type(misbehave.entry)(**{**misbehave.entry.__dict__, "analysis": analysis}))
    (key,) = platform.ingest({"mode": "kill"})
    ledger, tried = platform.services.ledger, 0
    while True:
        assert platform.work(key)[key].error.kind == "killed"
        tried += 1
        if platform.job(key).retry_at is None:
            break
        ledger.requests.requeue_due(platform.name)
        assert platform.job(key).state is JobState.NEW
    assert tried == 3
    ledger.requests.requeue_due(platform.name)
    assert platform.job(key).state is JobState.FAILED
    ledger.requests.requeue(platform.name, [key], who="ann")
    assert platform.job(key).rounds == 0


def test_a_permanent_failure_is_never_tried_again_automatically(misbehave):
    (key,) = misbehave.ingest({"mode": "raise"})
    misbehave.work(key)
    assert (misbehave.job(key).state, misbehave.job(key).retry_at) == (JobState.FAILED, None)
