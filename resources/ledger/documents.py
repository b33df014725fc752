"""The documents of the ledger, one per job: ids, indexes, and conversion to entries."""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime

from pydantic import ValidationError

from domain.batching import in_batches
from domain.errors import NewerFormatError
from domain.formats import check_format
from domain.job.state import LedgerEntry
from domain.messages import shown
from resources.mongo_collection import IDS_IN_A_QUERY, Document, RetryingCollection

INDEXES = (
    ("analysis", "state", "created", "_id"),
    ("analysis", "-updated"),
    ("analysis", "retry_at"),
    ("analysis", "state", "requested_code"),
    ("lease.owner",),
    ("committing.attempt",),
    ("analysis", "unreported"),
)
RESET: Document = {"fruitless": 0, "unstarted": 0, "rounds": 0, "retry_at": None}
"""Fields that a request resets: the counts by which the platform stops requesting runs for a job."""

FENCE: Document = {"fenced": True, "usable_attempts": []}
"""Fields that a force and an invalidation set: no attempt claimed earlier answers the job."""

KEPT_USABLE = 50
"""Maximum number of attempts that are kept as usable; instead of an older one, the job is computed again."""

LEDGER_FORMAT = "analysis-ledger/1"
"""Format of a job without the field ``format``; a version that changes the format stores the field."""

_SHOWN_ERRORS = 3

_log = logging.getLogger(__name__)


def job_id(analysis: str, job_key: str) -> str:
    """Return the ``_id`` of a job: a key alone may belong to several analyses."""
    return f"{analysis}/{job_key}"


def change_to(fields: Document, now: datetime) -> Document:
    """Return the update that changes a job's state. It increments the revision, so that earlier readers detect the change."""
    return {"$set": {**fields, "updated": now}, "$inc": {"revision": 1}}


def id_chunks(analysis: str, job_keys: Iterable[str]) -> Iterator[list[str]]:
    """Yield the ``_id`` of each job, in lists that fit into a query."""
    for keys in in_batches(job_keys, IDS_IN_A_QUERY):
        yield [job_id(analysis, key) for key in keys]


def update_jobs(
    documents: RetryingCollection, analysis: str, job_keys: Iterable[str], match: Document, change: Document
) -> int:
    """Update the jobs of those keys that match, in queries of limited size; return the number that matched."""
    writes = (documents.update_many({"_id": {"$in": ids}, **match}, change) for ids in id_chunks(analysis, job_keys))
    return sum(write.matched_count for write in writes)


def is_newer(document: Document) -> bool:
    """Return whether a job has a newer format; it is logged and left to the version that wrote it."""
    try:
        check_format(document, LEDGER_FORMAT, what=f"ledger's document {shown(str(document['_id']))}")
    except NewerFormatError as error:
        _log.warning("%s", error)
        return True
    return False


def readable_entry(document: Document) -> LedgerEntry | None:
    """Return the entry of a document. A damaged one is logged and skipped, so that it does not stop other jobs."""
    if is_newer(document):
        return None
    try:
        entry = LedgerEntry.model_validate(document)
        damage = None if job_id(entry.analysis, entry.job_key) == document["_id"] else "it is stored under another key"
    except ValidationError as error:
        shortened = sorted({f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors()})[:_SHOWN_ERRORS]
        damage = "; ".join(shortened)
    if damage is None:
        return entry
    _log.warning(
        "The ledger's document %s cannot be read (%s): fix it, or delete it and request the job again.",
        shown(str(document["_id"])),
        shown(damage),
    )
    return None


def readable_key(document: Document, analysis: str) -> str | None:
    """Return the key of a job, or None if its document is damaged or has a newer format."""
    key = document.get("job_key")
    return (
        None
        if is_newer(document)
        else key
        if isinstance(key, str) and document["_id"] == job_id(analysis, key)
        else None
    )
