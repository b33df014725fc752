"""The records of results, one document each; a record's existence is what makes a result *done*.

Replaced and invalidated records move to ``<collection>_superseded``. Nothing here decides when.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import dagster as dg
from pydantic import Field
from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from resources.mongo import MongoConnection
from resources.mongo_collection import Document, Fields, RetryingCollection, Sort

OWN = "analysis_assets"
ENDED = "processing.data_processes.end_date_time"
SEARCH, TIME = f"{OWN}.search", f"{OWN}.search_time"
_IDS_AT_ONCE = 10_000
_INDEXES = (
    (f"{OWN}.analysis", f"{SEARCH}.k", f"{SEARCH}.v", f"-{TIME}", "-_id"),  # serves every `analysis results --where`
    (f"{OWN}.analysis", f"-{TIME}", "-_id"),
    (f"{OWN}.analysis", f"-{ENDED}"),
    (f"{OWN}.job_key",),
    (f"{OWN}.locations",),  # an index takes one array, and the time that results ended at lies in another
    (f"{OWN}.files",),
    (f"{OWN}.subject_ids",),
    (f"{OWN}.session_names",),
)
_SUPERSEDED_INDEXES = (("name",), (f"{OWN}.job_key",), (f"{OWN}.analysis", "-superseded.when"))


class RecordStore(dg.ConfigurableResource["RecordStore"]):
    """Small verbs on the collection of records."""

    mongo: dg.ResourceDependency[MongoConnection]
    name: str = Field(description="DOCDB_COLLECTION.")

    def get(self, result_id: str) -> Document | None:
        """Return the record of a result, or None."""
        return self._records.find_one({"_id": result_id})

    def existing(self, result_ids: Iterable[str]) -> set[str]:
        """Return those of the ids that have a record, in as few queries as their number allows."""
        ids, records, found = iter(result_ids), self._records, set()
        while some := list(islice(ids, _IDS_AT_ONCE)):  # a query has at most 16 MB
            found |= {d["_id"] for d in records.find({"_id": {"$in": some}}, {"_id": 1}).to_list()}
        return found

    def get_many(self, result_ids: Iterable[str]) -> dict[str, Document]:
        """Return the records of those ids that have one, in one query."""
        return {d["_id"]: d for d in self._records.find({"_id": {"$in": list(result_ids)}}).to_list()}

    def insert_once(self, record: Document) -> Document:
        """Store a record unless its id is taken: the commit point of a result.

        Parameters
        ----------
        record : dict
            The record, with ``_id``.

        Returns
        -------
        dict
            The record that is stored under the id now: this one, or that of whoever was first.
        """
        try:
            self._records.insert_one(record)
        except DuplicateKeyError:
            winner = self.get(record["_id"])
            return winner if winner is not None else self.insert_once(record)
        return record

    def replace(self, record: Document, *, old: Document, who: str, reason: str) -> Document:
        """Put a record in the place of an old one, which moves to the superseded records.

        Parameters
        ----------
        record : dict
            The new record.
        old : dict
            The record that it replaces.
        who, reason : str
            Kept with the old record.

        Returns
        -------
        dict
            The record that is stored under the id now: another one if somebody else replaced ``old`` first.
        """
        self._keep_superseded(old, who=who, reason=reason, how="replaced")
        match = {"_id": record["_id"], f"{OWN}.attempt": {"$in": [attempt_of(old), attempt_of(record)]}}
        done = self._records.replace_one(match, record)
        if not done.matched_count:
            return self.insert_once(record)
        self._sign_superseded(old, who=who, reason=reason)
        return record

    def invalidate(self, record: Document, *, who: str, reason: str) -> None:
        """Move a record to the superseded ones, because its result is wrong; may be cut off and repeated.

        Parameters
        ----------
        record : dict
            The record, as it was read; another one that has taken its place since stays.
        who, reason : str
            Kept with it.
        """
        self._keep_superseded(record, who=who, reason=reason, how="invalidated")
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(record)}
        self._records.delete_one(match)

    def briefs(self, result_ids: Iterable[str]) -> dict[str, Document]:
        """Return of each record that there is only who made it and what its files were, in one query."""
        fields = [f"{OWN}.{name}" for name in ("analysis", "job_key", "attempt", "listing_sha256")]
        return {d["_id"]: d for d in self._records.find({"_id": {"$in": list(result_ids)}}, fields).to_list()}

    def by_id(self, analysis: str) -> Iterator[Document]:
        """Yield the records of an analysis, whole and in no order: what an audit reads."""
        yield from self._records.find({f"{OWN}.analysis": analysis})

    def attempts(self, analysis: str) -> Iterator[tuple[str, str]]:
        """Yield id and attempt of every record of an analysis, in no order: what tells whether a copy is up to date."""
        fields = {f"{OWN}.attempt": 1}
        for d in self._records.find({f"{OWN}.analysis": analysis}, fields):
            own = d[OWN] if isinstance(d[OWN], dict) else {}  # damaged otherwise: whoever reads it whole tells of it
            yield str(d["_id"]), str(own.get("attempt"))

    def superseded_among(self, ids: Iterable[str]) -> set[str]:
        """Return those of some ``<result_id>/<attempt>`` under which a superseded record is kept."""
        return {d["_id"] for d in self._superseded.find({"_id": {"$in": list(ids)}}, {"_id": 1}).to_list()}

    def note_removed_files(self, result_id: str, attempt: str) -> None:
        """Note with a superseded record that its files were removed; without effect when there is none."""
        change = {"$set": {"superseded.files_removed": self.mongo.now()}}
        self._superseded.update_one({"_id": f"{result_id}/{attempt}"}, change)

    def some(self, match: Document, limit: int, *, fields: Fields = None) -> list[Document]:
        """Return records that match a condition, at most so many, in no order; whole unless fields are named."""
        return self._records.find(match, fields, limit=limit).to_list()

    def newest(self, analysis: str, limit: int, *, fields: Fields = None) -> list[Document]:
        """Return the newest records of an analysis, at most so many; whole unless fields are named."""
        match = {f"{OWN}.analysis": analysis}
        return self._records.find(match, fields, sort=[(ENDED, DESCENDING)], limit=limit).to_list()

    def superseded(
        self, analysis: str, *, job_key: str | None = None, limit: int = 0, fields: Fields = None
    ) -> Iterator[Document]:
        """Yield the replaced and invalidated records of an analysis, or of one of its jobs, latest first."""
        match = {f"{OWN}.analysis": analysis} | ({f"{OWN}.job_key": job_key} if job_key else {})
        yield from self._superseded.find(match, fields, sort=[("superseded.when", DESCENDING)], limit=limit)

    def superseded_attempts(self, result_id: str) -> set[str]:
        """Return the attempts of a result that were replaced or invalidated."""
        found = self._superseded.find({"name": result_id}, {f"{OWN}.attempt": 1}).to_list()
        return {attempt_of(d) for d in found}

    def found(self, match: Document, fields: Fields = None, *, superseded: bool = False) -> Iterator[Document]:
        """Yield the records, or the superseded ones, that match a condition, in no order.

        Parameters
        ----------
        match : dict
            The condition, made by the platform.
        fields : sequence of str, or mapping to 1 or 0
            Fields to read, or with 0 to leave out; by default records are whole.
        superseded : bool
            Read the superseded records instead.
        """
        collection = self._superseded if superseded else self._records
        yield from collection.find(match, fields)

    def analyses(self) -> list[str]:
        """Return the names of the analyses that have results, in alphabetic order."""
        return sorted(n for n in self._records.distinct(f"{OWN}.analysis") if isinstance(n, str))

    def page(self, match: Document, order: Sort, limit: int) -> list[Document]:
        """Return the first records, in an order, that match a condition."""
        return self._records.find(match, sort=order, limit=limit).to_list()

    def count_up_to(self, match: Document, most: int) -> int:
        """Count the records that match a condition, and stop at so many."""
        return self._records.count_documents(match, limit=most)

    def make_searchable(self, record: Document, fields: Document) -> None:
        """Add the fields that queries stand on to a record; another one that has taken its place stays as it is."""
        change = {f"{OWN}.{name}": value for name, value in fields.items()}
        match = {"_id": record["_id"], f"{OWN}.attempt": attempt_of(record)}
        self._records.update_one(match, {"$set": change})

    def latest_superseded(self, result_id: str) -> Document | None:
        """Return the latest of the records of a result that lost their place, or None."""
        return self._superseded.find_one({"name": result_id}, sort=[("superseded.when", DESCENDING)])

    def of_analysis(self, analysis: str) -> Iterator[Document]:
        """Yield the records of an analysis, newest first."""
        yield from self._records.find({f"{OWN}.analysis": analysis}, sort=[(ENDED, DESCENDING)])

    def _keep_superseded(self, old: Document, *, who: str, reason: str, how: str) -> None:
        """Copy a record to the superseded ones, before it loses its place; a copy that is there stays as it is."""
        signed = {"how": how, "who": who, "reason": reason, "when": self.mongo.now()}
        kept: Document = {**old, "_id": _superseded_id(old), "superseded": signed}
        with suppress(DuplicateKeyError):
            self._superseded.insert_one(kept)

    def _sign_superseded(self, old: Document, *, who: str, reason: str) -> None:
        """Say who replaced a record: of several that tried at once, each of which may have copied it, the winner."""
        change = {"$set": {"superseded.who": who, "superseded.reason": reason}}
        self._superseded.update_one({"_id": _superseded_id(old)}, change)

    @property
    def _records(self) -> RetryingCollection:
        """Return the collection of records; its writes are journaled, because they commit results."""
        return self.mongo.collection(self.name, indexes=_INDEXES, durable=True)

    @property
    def _superseded(self) -> RetryingCollection:
        """Return the collection of replaced and invalidated records."""
        return self.mongo.collection(f"{self.name}_superseded", indexes=_SUPERSEDED_INDEXES, durable=True)


def _superseded_id(record: Document) -> str:
    """Return the ``_id`` under which a record is kept when it has lost its place."""
    return f"{record['_id']}/{attempt_of(record)}"


def unsearchable(analysis: str) -> Document:
    """Return the filter that finds records which cannot be searched yet, because an earlier version wrote them."""
    return {f"{OWN}.analysis": analysis, f"{SEARCH}.k": None}


def attempt_of(record: dict[str, Any]) -> str:
    """Return the attempt that made a record."""
    attempt: str = record[OWN]["attempt"]
    return attempt
