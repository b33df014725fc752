"""A platform that is attacked: real servers, protected files, and all commands that MongoDB receives."""

import uuid
from pathlib import Path

import dagster as dg
import pytest

from engine.discovery.analyses import load_analysis
from resources.inbox.notes import InboxNotes
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection, close_client
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from sensors.job_files.stores import Stores
from tests.commands_seen import by_another_name, listening
from tests.conftest import BUCKET
from tests.hostile.watching import Commands
from tests.sensors.harness import SensorHarness

LAB = Path(__file__).parents[1] / "lab"


@pytest.fixture(scope="session")
def watched(docdb_uri):
    """Give an address of the running MongoDB whose commands are watched, and these commands."""
    uri = by_another_name(docdb_uri)
    with listening(Commands(), uri) as commands:
        yield uri, commands
    close_client(uri)


@pytest.fixture(scope="module")
def commands(watched):
    """Give the commands of MongoDB, and check at the end that no outside value was an operator."""
    seen = watched[1]
    seen.clear()
    yield seen
    assert seen.count, "nothing was watched"
    assert not seen.faults()


@pytest.fixture(scope="module")
def mongo(watched, commands):
    """Connect to a database that no other test uses."""
    return MongoConnection(uri=watched[0], database=f"test_{uuid.uuid4().hex[:16]}")


@pytest.fixture(scope="module")
def make_harness(mongo, s3):
    """Give the function that makes a sensor's harness over an inbox."""
    with dg.DagsterInstance.ephemeral() as instance:

        def make(inbox, *, analysis=LAB / "double.py"):
            inbox.ensure()
            prefix = uuid.uuid4().hex[:8]  # of collections: no two harnesses see each other's jobs
            stores = Stores(
                inbox=inbox,
                notes=InboxNotes(mongo=mongo, records_name=prefix),
                ledger=Ledger(mongo=mongo, records_name=prefix),
                records=RecordStore(mongo=mongo, name=prefix),
                results=ResultsStore(s3=s3, root=f"{BUCKET}/{prefix}"),
            )
            return SensorHarness(load_analysis(analysis), stores, instance)

        yield make


@pytest.fixture(scope="module")
def yard(tmp_path_factory):
    """Give a folder with a secret file, a folder full of secrets, and room for an inbox between them."""
    yard = tmp_path_factory.mktemp("yard")
    secret = f"TOPSECRET{uuid.uuid4().hex}"
    (yard / "secret.json").write_text(f'{{"s3_location": ["s3://bucket/{secret}"], "{secret}": 1}}', encoding="utf-8")
    (yard / "secrets").mkdir()
    (yard / "secrets" / "more.json").write_bytes((yard / "secret.json").read_bytes())
    (yard / "secret.txt").write_text(secret, encoding="utf-8")
    return yard
