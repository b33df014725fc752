"""Everything that a tick and the commands ask MongoDB is answered by an index, also when there are many jobs."""

import uuid
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from pymongo import monitoring

from cli.results.run import ListQuery, list_results
from domain.result.records import to_record
from engine.discovery.analyses import load_analysis
from operations.platform import Platform
from resources.inbox.notes import InboxNotes
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection, close_client
from resources.records.store import RecordStore
from results_table.sensor import tick
from results_table.update import update_table
from sensors.job_files.stores import Stores
from tests.commands_seen import by_another_name, listening
from tests.provenances import sparse
from tests.raw import database_of
from tests.sensors.harness import SensorHarness, job_file

LAB = Path(__file__).parents[2] / "lab"
ASKED = {"find", "aggregate", "update", "delete", "distinct", "count"}
SMALL = {"breakers"}
"""Collections with a document for each analysis: nothing to look for."""


class Questions(monitoring.CommandListener):
    """Keeps whatever MongoDB was asked."""

    def __init__(self):
        self.asked = []

    def started(self, event):
        """Keep a command that looks for documents."""
        if event.command_name in ASKED:
            self.asked.append((event.database_name, event.command_name, dict(event.command)))

    def succeeded(self, event):
        """Pass over an answer."""

    failed = succeeded


@pytest.fixture(scope="module")
def questions(docdb_uri):
    """Give an address of the running MongoDB whose questions are kept, and the questions."""
    uri = by_another_name(docdb_uri)
    with listening(Questions(), uri) as kept:
        yield uri, kept
    close_client(uri)


@pytest.fixture
def harness(questions, database, folder_inbox, results_store):
    """Give a sensor's harness that is watched, with a job in each state."""
    mongo = MongoConnection(uri=questions[0], database=database)
    entry = load_analysis(LAB / "double.py")
    ledger, records = Ledger(mongo=mongo, records_name="r"), RecordStore(mongo=mongo, name="r")
    notes = InboxNotes(mongo=mongo, records_name="r")
    with dg.DagsterInstance.ephemeral() as instance:
        yield SensorHarness(entry, Stores(folder_inbox, notes, ledger, records, results_store), instance)


def scans(questions, docdb_uri):
    """Return the questions that read a whole collection."""
    found = []
    for database, name, command in questions.asked:
        if command[name].rpartition("_")[2] in SMALL:
            continue
        bare = {k: v for k, v in command.items() if k not in {"lsid", "$db", "writeConcern", "$clusterTime"}}
        parts = [{**bare, what: [one]} for what in ("updates", "deletes") for one in bare.get(what, ())] or [bare]
        for part in parts:  # of several changes only one at a time is explained
            mongo = MongoConnection(uri=docdb_uri, database=database)
            plan = database_of(mongo).command("explain", part, verbosity="queryPlanner")
            if "COLLSCAN" in str(plan):
                found.append(part)
    return found


def test_no_tick_reads_a_whole_collection(harness, questions, docdb_uri):
    harness.write("bad.json", b"{")
    for number in range(3):
        harness.write(f"{number}.json", job_file(number))
    runs = harness.launch(harness.tick())
    (first, *_) = harness.partitions()
    harness.add_record(first)
    questions[1].asked.clear()
    harness.tick()
    harness.end(runs)
    harness.tick()
    assert len(questions[1].asked) > 20
    assert scans(questions[1], docdb_uri) == []


def test_no_catalog_reads_a_whole_collection(harness, questions, docdb_uri):
    harness.write("1.json", job_file(1))
    harness.tick()
    (key,) = harness.partitions()
    harness.add_record(key)
    harness.change(key, state="failed")
    stores = harness.stores
    questions[1].asked.clear()
    tick(harness.instance, None, [harness.entry], stores.ledger)
    made = update_table(harness.entry, None, records=stores.records, ledger=stores.ledger, results=stores.results)
    assert made.table.num_rows == 2
    assert len(questions[1].asked) > 5
    assert scans(questions[1], docdb_uri) == []


@pytest.mark.parametrize(
    "wanted",
    [
        ListQuery(),
        ListQuery(limit=5),
        ListQuery(where=["number=1"], limit=5),
        ListQuery(where=["number>1", "number<=2", "double!=3"]),
        ListQuery(subject="a", session="b", code="1"),
        ListQuery(after="7" * 64),
    ],
)
def test_no_question_about_results_reads_a_whole_collection(harness, questions, docdb_uri, wanted):
    harness.stores.records.commit(
        to_record(sparse(analysis=harness.name, result_id="7" * 64, attempt=str(uuid.uuid4())))
    )
    connections = SimpleNamespace(ledger=harness.stores.ledger, record_store=harness.stores.records)
    questions[1].asked.clear()
    list_results(Platform(None, LAB, connections), harness.name, wanted)
    assert len(questions[1].asked) > 5
    assert scans(questions[1], docdb_uri) == []
