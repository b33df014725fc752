"""Reads the records of results. No index is created, so a read-only user is sufficient."""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from pydantic import Field
from pymongo import DESCENDING

from domain.batching import in_batches
from resources.mongo import MongoConnection
from resources.mongo_collection import IDS_IN_A_QUERY, Document, Fields, RetryingCollection, RetryingCursor, Sort

OWN = "analysis_assets"
WITHDRAWN = "withdrawn"
"""The only field besides ``_id`` of the document that replaces an invalidated record until there is a new result."""
ENDED = "processing.data_processes.end_date_time"
SEARCH, TIME = f"{OWN}.search", f"{OWN}.search_time"
BRIEF = tuple(f"{OWN}.{name}" for name in ("analysis", "job_key", "attempt", "listing_sha256"))
"""Fields of a record that identify its attempt and its files."""


class RecordReader(dg.ConfigurableResource["RecordReader"]):
    """The records of results, read-only."""

    mongo: dg.ResourceDependency[MongoConnection]
    name: str = Field(description="DOCDB_COLLECTION.")

    def get(self, result_id: str) -> Document | None:
        """Return the record of a result, or None."""
        return self._records.find_one({"_id": result_id, WITHDRAWN: None})

    def get_superseded(self, result_id: str) -> Document | None:
        """Return the latest superseded record of a result, or None."""
        return self._superseded.find_one({"name": result_id}, sort=[("superseded.when", DESCENDING)])

    def get_many(self, result_ids: Iterable[str], fields: Fields = None) -> dict[str, Document]:
        """Return the records of the ids that have one, in one query; complete unless fields are given."""
        ids = [str(one) for one in result_ids]
        return {d["_id"]: d for d in self._records.find({"_id": {"$in": ids}, WITHDRAWN: None}, fields).to_list()}

    def existing(self, ids: Iterable[str], *, superseded: bool = False) -> set[str]:
        """Return the ids that have a record, with as few queries as possible.

        Parameters
        ----------
        ids : iterable of str
            Result ids; ``<result_id>/<attempt>`` of superseded records.
        superseded : bool
            Query the superseded records instead.
        """
        collection, found = self._collection(superseded=superseded), set()
        for some in in_batches(ids, IDS_IN_A_QUERY):
            found |= {d["_id"] for d in collection.find({"_id": {"$in": some}, WITHDRAWN: None}, {"_id": 1}).to_list()}
        return found

    def find(
        self,
        match: Document,
        fields: Fields = None,
        *,
        sort: Sort | None = None,
        limit: int = 0,
        superseded: bool = False,
    ) -> RetryingCursor:
        """Return the records that match a condition.

        Parameters
        ----------
        match : dict
            Filter in the syntax of MongoDB.
        fields : sequence of str, or mapping to 1 or 0
            Fields to read, or with 0 to leave out; by default all.
        sort : sequence of (str, int), optional
            Fields and directions; by default records are unordered.
        limit : int
            Maximum number of records (0 = all).
        superseded : bool
            Query the superseded records instead.
        """
        return self._collection(superseded=superseded).find(match, fields, sort=sort, limit=limit)

    def newest(self, analysis: str, *, limit: int = 0, fields: Fields = None) -> RetryingCursor:
        """Return the records of an analysis, newest first."""
        return self.find({f"{OWN}.analysis": str(analysis)}, fields, sort=[(ENDED, DESCENDING)], limit=limit)

    def superseded(
        self, analysis: str, *, job_key: str | None = None, limit: int = 0, fields: Fields = None
    ) -> RetryingCursor:
        """Return the replaced and invalidated records of an analysis, or of one of its jobs, latest first."""
        match = {f"{OWN}.analysis": analysis} | ({f"{OWN}.job_key": job_key} if job_key else {})
        return self.find(match, fields, sort=[("superseded.when", DESCENDING)], limit=limit, superseded=True)

    def superseded_attempts(self, result_id: str) -> set[str]:
        """Return the attempts of a result that were replaced or invalidated."""
        found = self._superseded.find({"name": result_id}, {f"{OWN}.attempt": 1}).to_list()
        return {attempt_of(d) for d in found}

    def count(self, match: Document, *, limit: int) -> int:
        """Return the number of records that match a filter; counting stops at the limit."""
        return self._records.count_documents(match, limit=limit)

    def analyses(self) -> list[str]:
        """Return the names of the analyses that have results, in alphabetical order."""
        return sorted(n for n in self._records.distinct(f"{OWN}.analysis") if isinstance(n, str))

    def _collection(self, *, superseded: bool) -> RetryingCollection:
        return self._superseded if superseded else self._records

    @property
    def _records(self) -> RetryingCollection:
        return self.mongo.collection(self.name, read_only=True)

    @property
    def _superseded(self) -> RetryingCollection:
        return self.mongo.collection(f"{self.name}_superseded", read_only=True)


def attempts_by_result(records: RecordReader, analysis: str) -> dict[str, str]:
    """Return the attempt of every record of an analysis, by result id, to detect outdated copies."""
    found = {}
    for d in records.find({f"{OWN}.analysis": analysis}, {f"{OWN}.attempt": 1}):
        own = d[OWN] if isinstance(d[OWN], dict) else {}  # otherwise damaged, which other readers report
        found[str(d["_id"])] = str(own.get("attempt"))
    return found


def attempt_of(record: dict[str, Any]) -> str:
    """Return the attempt that made a record."""
    attempt: str = record[OWN]["attempt"]
    return attempt


def unsearchable(analysis: str) -> Document:
    """Return the filter that finds records which cannot be searched yet, because an earlier version wrote them."""
    return {f"{OWN}.analysis": analysis, f"{SEARCH}.k": None}
