"""Removing what nobody needs any more: attempts that were cut off or lost a race, and superseded results of some age.

Never a current record's attempt, never one at work, nothing outside ``<root>/<result_id>/<attempt>/``. Each is looked at
again right before it is removed, so a crash in the middle, or a run beside it, does no harm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from audit.sources import AT_ONCE
from domain.batching import in_batches
from domain.errors import SettingsError
from resources.ledger.ledger import Ledger
from resources.records.reader import BRIEF, OWN, attempt_of
from resources.records.store import RecordStore
from resources.result_store.attempts import StoredAttempt, stored_attempts
from resources.result_store.store import ResultsStore

YOUNGEST = timedelta(hours=1)
"""Nothing younger is ever removed: its attempt may be between two steps."""


@dataclass(frozen=True)
class Removable:
    """One attempt that may be removed.

    Attributes
    ----------
    why : str
        ``orphan``, or ``superseded``.
    analysis : str
        Whose it is, where that is known.
    result_id, attempt : str
        Its folder.
    files, bytes : int
        How much it is.
    newest : datetime
        When its latest file was written.
    """

    why: Literal["orphan", "superseded"]
    analysis: str
    result_id: str
    attempt: str
    files: int
    bytes: int
    newest: datetime


def removable(
    results: ResultsStore,
    records: RecordStore,
    ledger: Ledger,
    *,
    older_than: timedelta,
    youngest: timedelta = YOUNGEST,
) -> Iterator[Removable]:
    """Yield what may be removed; a complete attempt without any record is kept, because it can still be committed.

    Parameters
    ----------
    results, records, ledger
        Where results, records and claims are.
    older_than : timedelta
        Age of the latest file, by the servers' clocks.
    youngest : timedelta
        The shortest age that is accepted.

    Raises
    ------
    SettingsError
        If the age is shorter than that.
    """
    if older_than < youngest:
        msg = f"Results younger than an hour are never removed; found {older_than}, expected 1h or more."
        raise SettingsError(msg)
    attempts = (one for one in stored_attempts(results) if isinstance(one, StoredAttempt))
    for batch in in_batches(attempts, AT_ONCE):
        before, at_work = ledger.now() - older_than, ledger.claims.runs_by_attempt()
        old = [one for one in batch if one.newest < before and one.attempt not in at_work]
        current = records.get_many({one.result_id for one in old}, BRIEF)
        superseded = records.existing((f"{one.result_id}/{one.attempt}" for one in old), superseded=True)
        for one in old:
            record = current.get(one.result_id)
            lost = f"{one.result_id}/{one.attempt}" in superseded
            if record is not None and attempt_of(record) == one.attempt:
                continue
            if lost or record is not None or not one.complete:
                name = record[OWN]["analysis"] if record is not None else ""
                why: Literal["orphan", "superseded"] = "superseded" if lost else "orphan"
                yield Removable(why, name, one.result_id, one.attempt, len(one.files), one.bytes, one.newest)


def remove(one: Removable, results: ResultsStore, records: RecordStore, ledger: Ledger) -> bool:
    """Remove one attempt, unless it has become current or is at work; returns whether it was removed."""
    record = records.get(one.result_id)
    if record is not None and attempt_of(record) == one.attempt:
        return False
    if one.attempt in ledger.claims.runs_by_attempt():
        return False
    results.discard(results.location(one.result_id, one.attempt))
    if one.why == "superseded":
        records.note_removed_files(one.result_id, one.attempt)
    return True
