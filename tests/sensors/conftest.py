"""Harnesses for the sensor: real stores of their own, and a Dagster."""

from pathlib import Path

import dagster as dg
import pytest

from engine.discovery.analyses import load_analysis
from resources.inbox.job_inbox import JobInbox
from resources.inbox.notes import InboxNotes
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from resources.records.store import RecordStore
from resources.s3.connection import S3Connection
from sensors.job_files.stores import Stores
from tests.sensors.harness import SensorHarness

LAB = Path(__file__).parent.parent / "lab"


@pytest.fixture
def instance():
    """Give a Dagster of its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def make_harness(docdb_uri, results_store, instance):
    """Give the function that makes a harness over an inbox."""

    def make(inbox, database, *, analysis="double", dagster=instance):
        mongo = MongoConnection(uri=docdb_uri, database=database)
        stores = Stores(
            inbox=inbox,
            notes=InboxNotes(mongo=mongo, records_name="results"),
            ledger=Ledger(mongo=mongo, records_name="results"),
            records=RecordStore(mongo=mongo, name="results"),
            results=results_store,
        )
        path = analysis if isinstance(analysis, Path) else LAB / f"{analysis}.py"
        return SensorHarness(load_analysis(path), stores, dagster)

    return make


@pytest.fixture
def harness(make_harness, folder_inbox, database):
    """Give a harness whose inbox is a folder."""
    return make_harness(folder_inbox, database)


@pytest.fixture
def failing_s3_inbox(monkeypatch):
    """Give an inbox on a server that does not run."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    server = S3Connection(endpoint_url="http://127.0.0.1:10")  # no other test's: clients are kept by address
    return JobInbox(s3=server, root="s3://bucket/in")
