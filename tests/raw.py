"""The collections themselves, for tests that write or read behind the platform's back."""

from pymongo.collection import Collection
from pymongo.database import Database

from resources.inbox.notes import InboxNotes
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from resources.mongo_collection import Document
from resources.records.store import RecordStore


def database_of(mongo: MongoConnection) -> Database[Document]:
    """Return the database itself."""
    return mongo.collection("any").raw.database


def jobs_of(ledger: Ledger) -> Collection[Document]:
    """Return the collection of jobs."""
    return ledger.mongo.collection(f"{ledger.records_name}_jobs").raw


def breakers_of(ledger: Ledger) -> Collection[Document]:
    """Return the collection of circuit breakers."""
    return ledger.mongo.collection(f"{ledger.records_name}_breakers").raw


def records_of(store: RecordStore) -> Collection[Document]:
    """Return the collection of records."""
    return store.mongo.collection(store.name).raw


def superseded_of(store: RecordStore) -> Collection[Document]:
    """Return the collection of replaced and invalidated records."""
    return store.mongo.collection(f"{store.name}_superseded").raw


def notes_of(notes: InboxNotes) -> Collection[Document]:
    """Return the collection of notes on an inbox."""
    return notes.mongo.collection(f"{notes.records_name}_inbox").raw
