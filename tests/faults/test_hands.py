"""Stored data is changed by hand; the next run for the result finds the change."""

import time

import pytest

from tests.faults import sizes
from tests.raw import records_of

pytestmark = pytest.mark.slow

FOLDER = (60, "results folder changed by hand")
RECORD = (61, "record deleted by hand")
JOBS = (0, 1, 2)


def put(stage, location, name, data):
    """Write over a file of a result, past all checks."""
    bucket, _, key = f"{location.removeprefix('s3://')}/{name}".partition("/")
    stage.results.s3.client.put_object(Bucket=bucket, Key=key, Body=data)


def delete(stage, location, name):
    """Remove a file of a result."""
    bucket, _, key = f"{location.removeprefix('s3://')}/{name}".partition("/")
    stage.results.s3.client.delete_object(Bucket=bucket, Key=key)


CHANGES = {
    "a file has other content of the same size": lambda s, at: put(s, at, "number.txt", b"9\n"),
    "a file is longer": lambda s, at: put(s, at, "deep/noise.bin", b"longer" * 20_000),
    "a file is gone": lambda s, at: delete(s, at, "number.txt"),
    "a file is new": lambda s, at: put(s, at, "mine.txt", b"mine"),
    "the manifest is gone": lambda s, at: delete(s, at, "manifest.json"),
    "the metadata is gone": lambda s, at: delete(s, at, "metadata.nd.json"),
    "all is gone": lambda s, at: [delete(s, at, f.path) for f in s.results.list_files(at)],
}


def requested_again(stage, job):
    """Ask for one job again; gives how long that took (s)."""
    began = time.monotonic()
    stage.ledger.requests.requeue(stage.name, [job.job_key], who="a test")
    stage.settle()
    return time.monotonic() - began


def surroundings(stage, job):
    """Return everything that belongs to other jobs, with its times."""
    bucket, _, prefix = stage.results.root.partition("/")
    objects = [o for o in stage.results.objects_below(bucket, f"{prefix}/") if job.result_id not in o["Key"]]
    others = [k for k in stage.job_keys() if k != job.job_key]
    return (
        [(o["Key"], o["ETag"], o["LastModified"]) for o in objects],
        stage.ledger.jobs.get_many(stage.name, others),
        [r for r in stage.records.newest(stage.name) if r["_id"] != job.result_id],
    )


@pytest.fixture
def job(stage):
    """Give the second of some jobs that are done."""
    stage.ask(*JOBS)
    stage.settle()
    return next(
        j for j in stage.ledger.jobs.get_many(stage.name, stage.job_keys()).values() if j.parameters["number"] == 1
    )


@pytest.mark.parametrize("change", sizes.of(CHANGES, small=["a file has other content of the same size"]))
def test_a_results_folder_that_was_changed_is_found_and_computed_again(stage, job, judge, change):
    before = surroundings(stage, job)
    old = stage.records.get(job.result_id)
    CHANGES[change](stage, old["location"])
    seconds = requested_again(stage, job)
    assert surroundings(stage, job) == before
    assert stage.records.get(job.result_id)["location"] != old["location"]
    state = judge(FOLDER, stage, injected=1, seconds=seconds, by_hand=True, again={1: 1})
    assert state.extra == 1


def test_a_record_that_was_deleted_is_committed_again_without_executing(stage, job, judge):
    before = surroundings(stage, job)
    old = stage.records.get(job.result_id)
    records_of(stage.records).delete_one({"_id": job.result_id})
    seconds = requested_again(stage, job)
    assert surroundings(stage, job) == before
    assert stage.records.get(job.result_id) == old
    state = judge(RECORD, stage, injected=1, seconds=seconds, by_hand=True, again={1: 1})
    assert state.extra == 0


def test_a_record_and_a_file_that_were_deleted_are_made_again(stage, job, judge):
    old = stage.records.get(job.result_id)
    delete(stage, old["location"], "number.txt")
    records_of(stage.records).delete_one({"_id": job.result_id})
    seconds = requested_again(stage, job)
    state = judge(RECORD, stage, injected=1, seconds=seconds, by_hand=True, again={1: 1}, damaged={1: 1})
    assert state.extra == 1
