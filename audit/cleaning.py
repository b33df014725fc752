"""Deletes interrupted attempts, attempts that lost a race, and superseded results older than a given age.

It never deletes the attempt of a current record, an attempt in use, or anything outside
``<root>/<result_id>/<attempt>/``. Each attempt is checked again immediately before its deletion, so that a crash, or a
concurrent run, does no harm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from audit.sources import AT_ONCE
from domain.batching import in_batches
from domain.errors import NewerFormatError, SettingsError
from domain.failures import ENDED_BY_PEOPLE
from domain.job.state import JobState
from engine.execution.publish import complete_attempt
from resources.ledger.ledger import Ledger
from resources.mongo_collection import Document
from resources.records.reader import BRIEF, OWN, attempt_of
from resources.records.store import RecordStore
from resources.result_store.attempts import StoredAttempt, stored_attempts
from resources.result_store.store import ResultsStore

YOUNGEST = timedelta(hours=1)
"""Younger attempts are never deleted: they may be between two steps."""


@dataclass(frozen=True)
class Removable:
    """An attempt that may be deleted.

    Attributes
    ----------
    why : str
        ``orphan``: no record names the attempt; ``superseded``: a superseded record does.
    analysis, job_key : str
        Name of the analysis, and key of the job; empty if unknown.
    result_id, attempt : str
        Parts of its folder ``<root>/<result_id>/<attempt>/``.
    files, bytes : int
        Number of files, and their total size.
    newest : datetime
        When its latest file was written.
    """

    why: Literal["orphan", "superseded"]
    analysis: str
    job_key: str
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
    """Yield attempts that may be deleted.

    A complete attempt without a record is kept, because it can still be committed, unless its job was cancelled or its
    result invalidated.

    Parameters
    ----------
    results, records, ledger
        Result store, record store and ledger; only read.
    older_than : timedelta
        Age of the latest file, by the servers' clocks.
    youngest : timedelta
        Smallest accepted value of `older_than`.

    Raises
    ------
    SettingsError
        If `older_than` is below `youngest`.
    """
    if older_than < youngest:
        msg = f"Results younger than an hour are never removed; found {older_than}, expected 1h or more."
        raise SettingsError(msg)
    attempts = (one for one in stored_attempts(results) if isinstance(one, StoredAttempt))
    for batch in in_batches(attempts, AT_ONCE):
        before, in_use = ledger.now() - older_than, ledger.commits.in_use()
        old = [one for one in batch if one.newest < before and one.attempt not in in_use]
        current = records.get_many({one.result_id for one in old}, BRIEF)
        superseded = records.existing((f"{one.result_id}/{one.attempt}" for one in old), superseded=True)
        for one in old:
            record = current.get(one.result_id)
            if record is not None and attempt_of(record) == one.attempt:
                continue
            if f"{one.result_id}/{one.attempt}" in superseded:
                yield _removable("superseded", one, record)
            elif record is not None or not one.complete:
                yield _removable("orphan", one, record)
            elif (left := _uncommitted(results, one)) is not None and is_ended_by_people(ledger, left):
                yield _removable("orphan", one, left)


def remove(one: Removable, results: ResultsStore, records: RecordStore, ledger: Ledger) -> bool:
    """Delete an attempt unless it is current or in use by now; return whether it was deleted."""
    record = records.get(one.result_id)
    if record is not None and attempt_of(record) == one.attempt:
        return False
    if one.attempt in ledger.commits.in_use():
        return False
    if one.job_key and not ledger.commits.drop(one.analysis, one.job_key, one.attempt):
        return False
    results.discard(results.location(one.result_id, one.attempt))
    if one.why == "superseded":
        records.note_removed_files(one.result_id, one.attempt)
    return True


def is_ended_by_people(ledger: Ledger, record: Document) -> bool:
    """Return whether the job of a record was cancelled or its result invalidated, and the job was not requested since."""
    job = ledger.jobs.get(record[OWN]["analysis"], record[OWN]["job_key"])
    return (
        job is not None and job.state is JobState.FAILED and job.error is not None and job.error.kind in ENDED_BY_PEOPLE
    )


def _uncommitted(results: ResultsStore, one: StoredAttempt) -> Document | None:
    """Return the record of a complete attempt; one of a newer version is left to that version."""
    try:
        return complete_attempt(results, one.result_id, one.attempt)
    except NewerFormatError:
        return None


def _removable(why: Literal["orphan", "superseded"], one: StoredAttempt, record: Document | None) -> Removable:
    """Describe an attempt with the job that it belongs to, if a record of its result is there."""
    own = record[OWN] if record is not None else {}
    name, key = own.get("analysis", ""), own.get("job_key", "")
    return Removable(why, name, key, one.result_id, one.attempt, len(one.files), one.bytes, one.newest)
