"""Reads after writes on a replica set of three, whatever read preference the address names."""

import uuid

import pytest
from pymongo import MongoClient, ReadPreference
from pymongo.errors import OperationFailure

from domain.job.identity import JobInputs, job_key
from domain.job.job_file import Job
from domain.job.state import JobState
from domain.job.stored import Source, StoredJob
from domain.result.records import to_record
from resources.ledger.claims import Finished
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from resources.records.reader import RecordReader, attempt_of
from resources.records.store import RecordStore
from tests.faults import processes
from tests.provenances import sparse
from tests.raw import jobs_of, records_of
from tests.waiting import wait_for

pytestmark = pytest.mark.slow
CODE = "1+000000000000"


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory):
    """Give a replica set that has a primary and two members that follow it."""
    with processes.replica_set(tmp_path_factory.mktemp("replicas")) as (found, client):
        wait_for(lambda: len(client.secondaries) == 2 and client.primary, "the replica set is not in order")
        yield found


def is_locked(client):
    """Lock a member; one that has just joined may be too young for it."""
    try:
        client.admin.command("fsync", lock=True)
    except OperationFailure:
        return False
    return True


@pytest.fixture
def late_secondary(replica_set):
    """Lock one secondary, so that it stays at the state that it has."""
    with MongoClient(replica_set.uri) as client:
        wait_for(lambda: len(client.secondaries) == 2, "the replica set is not in order")
        host, port = min(client.secondaries)
    with MongoClient(f"mongodb://{host}:{port}/?directConnection=true") as locked:
        wait_for(lambda: is_locked(locked), "the secondary cannot be locked")
        yield
        locked.admin.command("fsyncUnlock")


@pytest.fixture(params=["secondaryPreferred", "secondary", "nearest"])
def stores(request, replica_set):
    """Give ledger, records and a reader at an address that prefers secondaries."""
    uri = f"{replica_set.uri}&readPreference={request.param}&readConcernLevel=local"
    mongo = MongoConnection(uri=uri, database=f"test_{uuid.uuid4().hex[:16]}")
    yield (
        Ledger(mongo=mongo, records_name="records"),
        RecordStore(mongo=mongo, name="records"),
        RecordReader(mongo=mongo, name="records"),
    )
    mongo.close()


def job_of(number):
    inputs, parameters = JobInputs.of(Job(s3_location=("s3://lab/a",))), {"number": number}
    key = job_key(inputs, parameters)
    return StoredJob(analysis="demo", job_key=key, inputs=inputs, parameters=parameters, origins={"number": "default"})


def test_what_was_written_is_read_by_every_decision(stores, late_secondary):
    ledger, records, _ = stores
    jobs = [job_of(number) for number in range(15)]
    ledger.requests.store([(job, Source(name="f.json")) for job in jobs], code_version=CODE)
    assert len(ledger.jobs.keys_in("demo", JobState.NEW)) == len(jobs)
    for number, job in enumerate(jobs):
        attempt, entry = f"a{number}", ledger.jobs.get("demo", job.job_key)
        claimed = ledger.claims.claim(
            entry, attempt=attempt, owner=f"w{number}", run_id="r", code_version=CODE, states=[JobState.NEW]
        )
        assert ledger.claims.holds(claimed, attempt)
        assert ledger.claims.held_by(f"w{number}") == {attempt}
        record = to_record(sparse(attempt=attempt, result_id=f"{number:064x}", job_key=job.job_key))
        assert records.commit(record) == record
        assert (
            attempt_of(records.commit({**record, "analysis_assets": {**record["analysis_assets"], "attempt": "late"}}))
            == attempt
        )
        assert records.existing([record["_id"]]) == {record["_id"]}
        ledger.claims.finish([Finished(claimed, attempt, record["_id"])], code_version=CODE)
        assert ledger.jobs.get("demo", job.job_key).state is JobState.DONE


def test_only_what_is_read_without_deciding_follows_the_address(stores):
    ledger, records, reader = stores
    for decides in (jobs_of(ledger), records_of(records)):
        assert decides.read_preference == ReadPreference.PRIMARY
        assert decides.read_concern.level == "majority"
    follows = reader.mongo.collection(reader.name, read_only=True).raw
    assert follows.read_preference != ReadPreference.PRIMARY
    assert follows.read_concern.level == "local"
