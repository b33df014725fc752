"""The external systems that a sensor of job files uses."""

from dataclasses import dataclass

from resources.inbox.job_inbox import JobInbox
from resources.inbox.notes import InboxNotes
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore


@dataclass(frozen=True)
class Stores:
    """The external systems that a sensor uses; see ``resources/``."""

    inbox: JobInbox
    notes: InboxNotes
    ledger: Ledger
    records: RecordStore
    results: ResultsStore
