"""The sources of the requests for a job, stored with it in the ledger up to a maximum size.

A document of MongoDB has at most 16 MB. A job file of up to 1 MiB can be written repeatedly, so the stored part of later
requests is bounded; otherwise MongoDB would reject the job, and every tick of its sensor would fail.
"""

from typing import Any

import bson
from pymongo import UpdateOne

from domain.job.state import JobState
from domain.job.stored import Source, StoredJob
from resources.ledger.documents import job_id
from resources.mongo_collection import Document

MAX_SOURCES = 100
"""Maximum number of requests that are stored with a job: the earliest."""

LARGE_BYTES = 50_000
"""Size above which a later request is stored with shortened texts."""

_KEPT_CHARACTERS, _KEPT_ENTRIES = 1000, 20


def writes_of(job: StoredJob, source: Source, fields: Document) -> list[UpdateOne]:
    """Return the writes that store a job if it is unknown, and add the source of a request.

    Parameters
    ----------
    job : StoredJob
        The requested job, which may be known.
    source : Source
        Source of the request. The first one is stored completely.
    fields : dict
        Further fields of an unknown job.

    Returns
    -------
    list of UpdateOne
        Idempotent writes.
    """
    request = source.model_dump(mode="json")
    first = {
        **job.model_dump(mode="json"),
        "state": JobState.NEW.value,
        "attempt_number": 0,
        "requests": 0,
        "lease": None,
        "error": None,
        "force": None,
        "sources": [request],
        **fields,
    }
    match = {"_id": job_id(job.analysis, job.job_key)}
    room: Document = {**match, f"sources.{MAX_SOURCES - 1}": {"$exists": False}}
    if len(bson.encode(request)) > LARGE_BYTES:
        request, room["sources.name"] = _shortened(request), {"$ne": source.name}
    return [
        UpdateOne(match, {"$setOnInsert": first}, upsert=True),
        UpdateOne(room, {"$addToSet": {"sources": request}}),
    ]


def _shortened(value: Any) -> Any:
    """Return a request with shortened texts, without long lists and objects."""
    if isinstance(value, str):
        return value if len(value) <= _KEPT_CHARACTERS else f"{value[:_KEPT_CHARACTERS]}…"
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()} if len(value) <= _KEPT_ENTRIES else {}
    if isinstance(value, list):
        return [_shortened(inner) for inner in value] if len(value) <= _KEPT_ENTRIES else []
    return value
