"""The sensor of the queue ingests the files that S3 reports, without a listing, and loses no message before that."""

import json
import logging
from dataclasses import replace

import dagster as dg
import pytest

from resources.inbox.job_inbox import JobInbox
from resources.inbox.queue import InboxQueue
from resources.ledger.ledger import Ledger
from resources.ledger.requests import Requests
from resources.s3.connection import S3Connection
from sensors.inbox_queue import Watched, build_inbox_watch, ingest_reported
from sensors.job_files.cursor import Memory
from sensors.job_files.intake import Intake
from sensors.job_files.sensor import tick
from sensors.limits import LIMITS, TickLimits
from tests.moto_queue import notifying_bucket, reached
from tests.sensors.harness import job_file


@pytest.fixture(scope="module")
def served():
    """Serve a bucket that notifies a queue, for all tests of this file."""
    with notifying_bucket() as bucket:
        yield bucket


@pytest.fixture
def bucket(served, monkeypatch):
    """Give the bucket, empty, and the credentials for it."""
    with reached(served, monkeypatch) as bucket:
        yield bucket


@pytest.fixture
def harness(make_harness, bucket, database):
    """Give a harness whose inbox is the notifying bucket."""
    inbox = JobInbox(s3=S3Connection(endpoint_url=bucket.address), root=f"s3://{bucket.name}/in")
    return make_harness(inbox, database)


class UnlistedInbox(JobInbox):
    """An inbox that cannot be listed."""

    def pages(self, analysis, *, after=""):
        """Refuse."""
        pytest.fail(f"The inbox of {analysis} was listed.")


class CutOffRequests(Requests):
    """Requests that end the process as soon as something is to be stored."""

    def store(self, *_, **__):
        """End the process's work."""
        raise KeyboardInterrupt


class CutOffLedger(Ledger):
    """A ledger that is away as soon as something is to be stored."""

    @property
    def requests(self):
        """Give the same requests, cut off."""
        return CutOffRequests(**vars(super().requests))


def watched_by(harness, bucket, **patience):
    """Give what the sensor of the queue needs."""
    stores, queue = (
        harness.stores,
        InboxQueue(url=bucket.queue_url, wait_s=0, **patience),
    )  # this server needs no waiting
    return Watched(queue, stores.inbox, stores.notes, stores.ledger)


@pytest.fixture
def watch(harness, bucket):
    """Give the function that evaluates the sensor of the queue once."""

    def evaluate(watched=None, *, limits=LIMITS):
        return ingest_reported(
            harness.instance, {harness.name: harness.entry}, watched or watched_by(harness, bucket), limits=limits
        )

    return evaluate


@pytest.fixture
def unlisted(harness):
    """Make further listings of the inbox fail."""
    assert isinstance(harness.tick(), dg.SkipReason)
    harness.cursor = Memory(listed=harness.stores.ledger.now().timestamp()).written()
    inbox = harness.stores.inbox
    harness.stores = replace(harness.stores, inbox=UnlistedInbox(s3=inbox.s3, root=inbox.root))


def numbers(harness):
    return sorted(job["parameters"]["number"] for job in harness.jobs().values())


def test_a_file_that_the_queue_reports_becomes_a_job_and_a_run_without_a_listing(harness, bucket, watch, unlisted):
    harness.write("0/a b+é.json", job_file(1))
    harness.write("bad.json", b"{")
    assert watch() == "2 messages, 2 files read."
    assert bucket.waiting() == (0, 0)
    assert numbers(harness) == [1.0]
    assert list(harness.rejected()) == ["bad.json"]
    assert harness.partitions() == list(harness.jobs())
    found = tick(harness.instance, harness.cursor, harness.entry, harness.stores, listing_s=600)
    assert harness.requested(found) == list(harness.jobs())
    assert watch() == "0 messages, 0 files read."


def test_messages_that_come_twice_change_nothing(harness, bucket, watch, unlisted):
    harness.write("a.json", job_file(1))
    (message,) = bucket.sqs.receive_message(QueueUrl=bucket.queue_url, VisibilityTimeout=0)["Messages"]
    assert watch() == "1 message, 1 file read."
    for _ in range(2):
        bucket.send(message["Body"])
    assert watch() == "2 messages, 0 files read."
    (job,) = harness.jobs().values()
    assert len(job["sources"]) == 1


def test_a_message_stays_until_its_file_is_in_the_ledger(harness, bucket, watch, unlisted):
    harness.write("a.json", job_file(1))
    watched, ledger = watched_by(harness, bucket, hidden_s=0), harness.stores.ledger
    cut_off = CutOffLedger(mongo=ledger.mongo, records_name=ledger.records_name)
    with pytest.raises(KeyboardInterrupt):
        watch(replace(watched, ledger=cut_off))
    assert (harness.jobs(), bucket.waiting()) == ({}, (1, 0))
    watch(watched)
    assert (numbers(harness), bucket.waiting()) == ([1.0], (0, 0))


def test_files_for_which_there_was_no_time_are_reported_again(harness, bucket, watch, unlisted):
    for number in range(3):
        harness.write(f"{number}.json", job_file(number))
    assert watch(limits=TickLimits(messages_reading_s=-1)) == "3 messages, 1 file read."
    assert bucket.waiting() == (0, 2)
    assert len(harness.jobs()) == 1


def test_messages_that_make_no_sense_are_reported_and_removed(harness, bucket, watch, unlisted, caplog):
    bucket.send("hello")
    bucket.send({"Records": [{"s3": "x"}]})
    harness.write("a.json", job_file(1))
    with caplog.at_level(logging.WARNING):
        said = watch()
    assert said.startswith("3 messages, 1 file read. 2 invalid messages removed: A message of")
    assert caplog.text.count("A message was removed from http") == 2
    assert (numbers(harness), bucket.waiting()) == ([1.0], (0, 0))


def test_objects_elsewhere_request_nothing(harness, bucket, watch, unlisted):
    for key in ("in/other/a.json", "out/double/a.json", "in/double/a.txt", "in/double/analysis_parameters.json"):
        bucket.s3.put_object(Bucket=bucket.name, Key=key, Body=job_file(1))
    assert watch() == "4 messages, 0 files read."
    assert (harness.jobs(), harness.rejected(), bucket.waiting()) == ({}, {}, (0, 0))


def test_a_file_that_is_gone_is_forgotten_and_requests_nothing(harness, bucket, watch, unlisted):
    harness.write("bad.json", b"{")
    harness.write("early.json", job_file(1))
    bucket.s3.delete_object(Bucket=bucket.name, Key="in/double/early.json")
    assert watch() == "2 messages, 1 file read."
    event = {"detail": {"bucket": {"name": bucket.name}, "object": {"key": "in/double/bad.json"}}}
    bucket.s3.delete_object(Bucket=bucket.name, Key="in/double/bad.json")
    bucket.send(event)
    bucket.send({**event, "detail": {**event["detail"], "object": {"key": "in/double/../x.json"}}})
    assert watch() == "2 messages, 1 file read."
    assert harness.jobs() == {}
    assert harness.rejected() == {"../x.json": "has a name that could not be a path: rename it"}


def test_refused_files_are_judged_again_without_a_listing_when_their_reason_may_be_gone(harness, watch, unlisted):
    harness.write("a.json", json.dumps({"s3_location": ["s3://b/a"], "distributed_parameters": {"numbr": 1}}).encode())
    watch()
    assert list(harness.rejected()) == ["a.json"]
    judged = len(harness.rejected())
    harness.write("analysis_parameters.json", b'{"fixed_parameters": {"number": 3}}')
    before = harness.stores.notes.rejected("double")[0].judged_with
    tick(harness.instance, harness.cursor, harness.entry, harness.stores, listing_s=600)
    assert judged == len(harness.rejected())
    now = Intake(harness.entry, harness.stores.inbox).judged_with()
    assert harness.stores.notes.rejected("double")[0].judged_with == now != before


def test_a_file_that_is_not_reported_is_found_by_the_listing(harness, bucket):
    harness.write("a.json", job_file(1))
    bucket.lose()
    found = tick(harness.instance, None, harness.entry, harness.stores, listing_s=600)
    assert len(harness.requested(found)) == 1
    memory = Memory.read(found.cursor)
    assert memory.listed is not None
    harness.write("b.json", job_file(2))
    tick(harness.instance, found.cursor, harness.entry, harness.stores, listing_s=600)
    assert numbers(harness) == [1.0]
    long_ago = Memory(listed=memory.listed - 601).written()
    tick(harness.instance, long_ago, harness.entry, harness.stores, listing_s=600)
    assert numbers(harness) == [1.0, 2.0]


@pytest.mark.filterwarnings("ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning")
@pytest.mark.parametrize("dry_run", [False, True])
def test_dagster_evaluates_it_unless_this_is_a_dry_run(harness, bucket, dry_run):
    watched = watched_by(harness, bucket)
    harness.write("a.json", job_file(1))
    sensor = build_inbox_watch([harness.entry], dry_run=dry_run)
    resources = {
        "inbox_queue": watched.queue,
        "job_inbox": watched.inbox,
        "inbox_notes": watched.notes,
        "ledger": watched.ledger,
    }
    with dg.build_sensor_context(harness.instance, resources=resources) as context:
        said = sensor.evaluate_tick(context).skip_message
    assert said == ("DRY_RUN is set: no message was received." if dry_run else "1 message, 1 file read.")
    assert bucket.waiting() == ((1, 0) if dry_run else (0, 0))
