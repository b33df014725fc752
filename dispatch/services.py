"""The outside systems that a dispatch needs; see ``resources/``."""

from dataclasses import dataclass
from typing import Self

from resources.asset_records import AssetRecords
from resources.connections import Connections
from resources.inbox_notes import InboxNotes
from resources.inputs import Inputs
from resources.job_inbox import JobInbox
from resources.ledger import Ledger
from resources.record_store import RecordStore

SERVICES = ("asset_records", "job_inbox", "inbox_notes", "ledger", "record_store", "inputs")
"""The names under which Dagster injects them, in the order of `DispatchServices`."""


@dataclass(frozen=True)
class DispatchServices:
    """Where a dispatch reads and writes."""

    assets: AssetRecords
    inbox: JobInbox
    notes: InboxNotes
    ledger: Ledger
    results: RecordStore
    inputs: Inputs

    @classmethod
    def of(cls, found: Connections) -> Self:
        """Take those of an open platform."""
        return cls(*(getattr(found, name) for name in SERVICES))
