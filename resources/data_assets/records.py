"""The metadata records of data assets: one small interface, read from MongoDB directly or through a REST API.

Reading only: nothing here can write. What comes back is plain JSON, whatever the database holds.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import dagster as dg
from pydantic import Field
from pymongo.errors import ExecutionTimeout, OperationFailure

from domain.data_asset.query import projection
from domain.data_asset.record import BASE_FIELDS, AssetRecord, paths_of
from domain.errors import DispatchError
from domain.json_values import MAX_INTEGER, shown
from resources.mongo import MongoConnection
from resources.mongo_collection import Document, RetryingCollection

SAMPLE = 40
"""So many records are looked at to learn which fields there are."""

_BATCH = 1000
_TIME_IS_UP = frozenset({50, 262})  # MaxTimeMSExpired, ExceededTimeLimit


class AssetRecords(Protocol):
    """What a dispatch asks of a metadata database.

    Every method raises `DispatchError` for a query that the database refuses or that takes too long, and
    `ServerUnavailableError` when nothing answers.
    """

    @property
    def description(self) -> str:
        """Its name in messages."""

    def count(self, query: Document, *, time_limit_s: float) -> int:
        """Return how many records a filter finds."""

    def find(self, query: Document, *, fields: Sequence[str], time_limit_s: float) -> Iterator[AssetRecord]:
        """Yield the records that a filter finds, in batches, with these fields of each."""

    def has_field(self, field: str, *, time_limit_s: float) -> bool:
        """Tell whether any record has a field; True when that takes too long to find out."""

    def known_fields(self) -> set[str]:
        """Return the dotted fields of some records of every age."""


class MongoAssetRecords(dg.ConfigurableResource["MongoAssetRecords"]):
    """Records in MongoDB or Amazon DocumentDB.

    See https://docs.dagster.io/guides/build/external-resources for how Dagster builds resources.
    """

    mongo: dg.ResourceDependency[MongoConnection]
    name: str = Field(description="ASSETS_COLLECTION.")

    @property
    def description(self) -> str:
        """Its name in messages."""
        return f"the collection `{self.mongo.database}.{self.name}`"

    def count(self, query: Document, *, time_limit_s: float) -> int:
        """Return how many records a filter finds."""
        records = self._records
        with self._errors(time_limit_s):
            return records.count_documents(query, maxTimeMS=_ms(time_limit_s))

    def find(self, query: Document, *, fields: Sequence[str], time_limit_s: float) -> Iterator[AssetRecord]:
        """Yield the records that a filter finds, in batches, with these fields of each."""
        wanted = projection([*BASE_FIELDS, *fields])
        found = self._records.find(query, wanted, batch_size=_BATCH, max_time_ms=_ms(time_limit_s))
        with self._errors(time_limit_s):
            for document in found:
                yield AssetRecord.of(plain(document))

    def has_field(self, field: str, *, time_limit_s: float) -> bool:
        """Tell whether any record has a field; True when that takes too long to find out."""
        records, query = self._records, {field: {"$exists": True}}
        try:
            with self._errors(time_limit_s):
                found = records.find_one(query, {"_id": 1}, max_time_ms=_ms(time_limit_s))
        except DispatchError:
            return True
        return found is not None

    def known_fields(self) -> set[str]:
        """Return the dotted fields of some records of every age: ids are random, so both ends are a mixture."""
        found: set[str] = set()
        for direction in (1, -1):
            some = self._records.find({}, sort=[("_id", direction)], limit=SAMPLE // 2)
            found |= {path for document in some for path in paths_of(document)}
        return found

    @property
    def _records(self) -> RetryingCollection:
        """Return the collection."""
        return self.mongo.collection(self.name, read_only=True)

    @contextmanager
    def _errors(self, time_limit_s: float) -> Iterator[None]:
        """Say what the database has against a query."""
        try:
            yield
        except OperationFailure as error:
            if isinstance(error, ExecutionTimeout) or error.code in _TIME_IS_UP:
                raise too_slow(self.description, time_limit_s) from None
            reason = shown(str((error.details or {}).get("errmsg") or error))
            msg = f"The query cannot be used: {self.description} rejected it: {reason}."
            raise DispatchError(msg) from None


def too_slow(description: str, time_limit_s: float) -> DispatchError:
    """Say that a query took too long."""
    return DispatchError(
        f"The query took longer than {time_limit_s:g} s on {description} and was cancelled. Narrow it, query indexed "
        "fields, or raise `time_limit_s`."
    )


def plain(value: Any) -> Any:
    """Return a value of the database as plain JSON: times as ISO text, what JSON cannot hold as text or null."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | str):
        return value
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> float | str | None:
    """Return a number, a time or anything else that is no JSON value by itself."""
    if isinstance(value, int):
        return int(value) if abs(value) <= MAX_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return str(value)


def _ms(seconds: float) -> int:
    """Return a time limit as MongoDB takes it."""
    return max(1, int(seconds * 1000))
