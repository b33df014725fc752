"""Documents that somebody has damaged in MongoDB, and records that lie: each is its own job's problem alone."""

import json
import logging
import uuid
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymongo.errors import WriteError

from domain.result.records import readable, to_record
from resources.inbox.job_inbox import JobInbox
from resources.mongo import MongoConnection
from results.summaries import results_of
from results_table.report import make_report
from results_table.update import update_table
from tests.hostile import corpus, strategies
from tests.hostile.sizes import fuzz
from tests.provenances import sparse


@pytest.fixture(scope="module")
def harness(make_harness, s3, yard):
    """Give a sensor's harness with one good job."""
    harness = make_harness(JobInbox(s3=s3, root=str(yard / "stored")))
    harness.write("good.json", corpus.GOOD)
    harness.tick()
    return harness


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """Let warnings about damage pass."""
    caplog.set_level(logging.CRITICAL)


values = strategies.bson("abc$_")
"""What MongoDB can hold."""


@pytest.fixture(scope="module")
def key(harness):
    """Give the key of the good job."""
    (key,) = harness.jobs()
    return key


@pytest.fixture(scope="module")
def damage(harness, docdb_uri):
    """Give a function that opens a collection past what is watched: damage is done by others."""
    ledger = harness.stores.ledger
    mongo = MongoConnection(uri=docdb_uri, database=ledger.mongo.database)
    return lambda kind: mongo.collection(f"{ledger.records_name}{kind}").raw


def report_of(harness):
    """Make catalog and report of everything that is stored."""
    stores = harness.stores
    made = update_table(harness.entry, None, records=stores.records, ledger=stores.ledger, results=stores.results)
    return make_report(harness.entry, made.table, ui_url="http://127.0.0.1:3000").html


@fuzz(60)
@given(
    field=st.sampled_from(
        [
            *(
                "analysis",
                "job_key",
                "inputs",
                "parameters",
                "origins",
                "sources",
                "state",
                "attempt_number",
                "requests",
            ),
            *(
                "lease",
                "error",
                "force",
                "attempts",
                "code_version",
                "result_id",
                "retry_at",
                "rounds",
                "fruitless",
                "unstarted",
                "requested_at",
                "counted_run",
                "created",
            ),
        ]
    ),
    value=values,
    state=st.sampled_from(["new", "running", "failed", "done"]),
    missing=st.booleans(),
)
@example(field="inputs", value={}, state="new", missing=False)  # an object, and no inputs
def test_a_damaged_job_holds_up_no_other(harness, key, damage, field, value, state, missing):
    jobs, bad = damage("_jobs"), uuid.uuid4().hex * 2
    job = dict(jobs.find_one({"job_key": key}), _id=f"double/{bad}", job_key=bad, state=state)
    job |= (
        {"lease": None}
        if state != "running"
        else {"lease": {"owner": "o", "attempt": "a", "run_id": "r", "until": job["created"]}}
    )
    job["retry_at"] = job["created"]
    job[field] = value
    if missing:
        del job[field]
    jobs.insert_one(job)
    harness.renew(key)
    try:
        assert key in harness.requested(harness.tick())
        harness.stores.ledger.jobs.get_many("double", [key, bad])
        harness.stores.ledger.jobs.summaries("double", [key, bad])
        assert report_of(harness)
    finally:
        jobs.delete_one({"_id": f"double/{bad}"})


@fuzz(30)
@given(
    field=st.sampled_from(["name", "fingerprint", "problem", "judged_with", "job_key"]),
    value=values,
    missing=st.booleans(),
)
def test_a_damaged_note_costs_a_reading_and_no_more(harness, damage, field, value, missing):
    note = {
        "_id": uuid.uuid4().hex,
        "analysis": "double",
        "name": "x.json",
        "fingerprint": "f",
        "problem": "p",
        "judged_with": "",
        "job_key": None,
    }
    note[field] = value
    if missing:
        del note[field]
    damage("_inbox").insert_one(note)
    try:
        harness.tick()
        assert harness.rejected() is not None
    finally:
        damage("_inbox").delete_one({"_id": note["_id"]})


@fuzz(60)
@given(
    path=st.sampled_from(
        [
            *("location", "processing", "processing.data_processes", "processing.data_processes.0", "analysis_assets"),
            *(
                "analysis_assets.attempt",
                "analysis_assets.job_key",
                "analysis_assets.figure",
                "analysis_assets.analysis",
            ),
            *("analysis_assets.code_version", "analysis_assets.listing_sha256", "analysis_assets.locations", "name"),
            *("processing.data_processes.0.code", "processing.data_processes.0.end_date_time"),
            *(
                "processing.data_processes.0.output_parameters",
                "analysis_assets.manifest_sha256",
                "analysis_assets.group",
            ),
        ]
    ),
    value=values | st.sampled_from(["../../x", "s3://other/x", "s3://b@evil/x", "/etc/passwd", "a" * 64]),
)
def test_a_damaged_record_is_left_to_a_run_and_holds_up_no_other(harness, key, damage, path, value):
    record = harness.add_record(key)
    records = damage("")
    with suppress(WriteError):  # the database refuses some damage itself
        records.update_one({"_id": record["_id"]}, {"$set": {path: value}})
    harness.renew(key, result_id=None)
    partitions = set(harness.partitions())
    try:
        harness.tick()
        assert set(harness.partitions()) <= partitions | {key}
        results_of(harness.stores.records, "double", code_version="1")
        assert report_of(harness)
    finally:
        records.delete_one({"_id": record["_id"]})
        harness.renew(key)


def test_a_record_that_says_it_were_another_jobs_makes_no_partition(harness, key, damage):
    record = harness.add_record(key)
    records = damage("")
    records.update_one({"_id": record["_id"]}, {"$set": {"analysis_assets.job_key": "$(reboot)"}})
    harness.renew(key)
    harness.tick()
    assert "$(reboot)" not in harness.partitions()
    assert harness.jobs()[key]["state"] == "new"
    records.delete_one({"_id": record["_id"]})


@fuzz(200)
@given(strategies.values)
def test_reading_a_record_never_raises(value):
    record = to_record(sparse())
    assert readable(record) is not None
    assert readable(value) is None
    assert readable({**record, "analysis_assets": value}) is None
    assert readable(json.loads("[" * 500 + "]" * 500)) is None
