"""The outside systems of a dispatch; see ``resources/``."""

from dataclasses import dataclass
from typing import Self

from resources.data_assets.records import AssetRecords
from resources.inbox.job_inbox import JobInbox
from resources.inbox.notes import InboxNotes
from resources.inputs.resource import Inputs
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore

SERVICES = ("asset_records", "job_inbox", "inbox_notes", "ledger", "record_store", "inputs")
"""Resource keys in Dagster, in the order of `DispatchServices`."""


@dataclass(frozen=True)
class DispatchServices:
    """Connections of a dispatch."""

    assets: AssetRecords
    inbox: JobInbox
    notes: InboxNotes
    ledger: Ledger
    results: RecordStore
    inputs: Inputs

    @classmethod
    def of(cls, resources: object) -> Self:
        """Return the services of a dispatch, from open connections or Dagster's resources."""
        return cls(*(getattr(resources, name) for name in SERVICES))
