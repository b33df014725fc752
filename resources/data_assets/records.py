"""The metadata records of data assets: one small interface, read from MongoDB directly or through a REST API.

It is read-only, and returns plain JSON values for any type in the database.
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
from domain.json_values import MAX_INTEGER
from domain.messages import shown
from resources.mongo import MongoConnection
from resources.mongo_collection import Document, RetryingCollection

SAMPLE = 40
"""Number of records that are read to find the existing fields."""

_BATCH = 1000
_TIME_IS_UP = frozenset({50, 262})  # MaxTimeMSExpired, ExceededTimeLimit


class AssetRecords(Protocol):
    """Interface of a metadata database for dispatches.

    Every method raises `DispatchError` for a query that the database rejects or that takes too long, and
    `ServerUnavailableError` if the server does not answer.
    """

    @property
    def description(self) -> str:
        """Its name in messages."""

    def count(self, query: Document, *, time_limit_s: float) -> int:
        """Return the number of records that match a filter."""

    def find(self, query: Document, *, fields: Sequence[str] | None, time_limit_s: float) -> Iterator[AssetRecord]:
        """Yield the records that match a filter, with these fields; with None, whole records."""

    def has_field(self, field: str, *, time_limit_s: float) -> bool:
        """Return whether any record has a field; also True if the query takes too long."""

    def known_fields(self) -> set[str]:
        """Return the dotted field names in a sample of records."""


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
        """Return the number of records that match a filter."""
        records = self._records
        with self._errors(time_limit_s):
            return records.count_documents(query, maxTimeMS=_ms(time_limit_s))

    def find(self, query: Document, *, fields: Sequence[str] | None, time_limit_s: float) -> Iterator[AssetRecord]:
        """Yield the records that match a filter, with these fields; with None, whole records."""
        wanted = None if fields is None else projection([*BASE_FIELDS, *fields])
        found = self._records.find(query, wanted, batch_size=_BATCH, max_time_ms=_ms(time_limit_s))
        with self._errors(time_limit_s):
            for document in found:
                yield AssetRecord.of(plain(document))

    def has_field(self, field: str, *, time_limit_s: float) -> bool:
        """Return whether any record has a field; also True if the query takes too long."""
        records, query = self._records, {field: {"$exists": True}}
        try:
            with self._errors(time_limit_s):
                found = records.find_one(query, {"_id": 1}, max_time_ms=_ms(time_limit_s))
        except DispatchError:
            return True
        return found is not None

    def known_fields(self) -> set[str]:
        """Return the dotted field names in a sample: ids are random, so the first and last records are a mixture."""
        found: set[str] = set()
        for direction in (1, -1):
            some = self._records.find({}, sort=[("_id", direction)], limit=SAMPLE // 2)
            found |= {path for document in some for path in paths_of(document)}
        return found

    @property
    def _records(self) -> RetryingCollection:
        return self.mongo.collection(self.name, read_only=True)

    @contextmanager
    def _errors(self, time_limit_s: float) -> Iterator[None]:
        """Convert errors of the database to the platform's errors."""
        try:
            yield
        except OperationFailure as error:
            if isinstance(error, ExecutionTimeout) or error.code in _TIME_IS_UP:
                raise too_slow(self.description, time_limit_s) from None
            reason = shown(str((error.details or {}).get("errmsg") or error))
            msg = f"The query cannot be used: {self.description} rejected it: {reason}."
            raise DispatchError(msg) from None


class SlowQueryError(DispatchError):
    """A query took too long. A dispatch needs another query; a query of the platform's own may succeed later."""


def too_slow(description: str, time_limit_s: float) -> SlowQueryError:
    """Return the error for a query that took too long."""
    return SlowQueryError(
        f"The query took longer than {time_limit_s:g} s on {description} and was cancelled. Narrow it, query indexed "
        "fields, or raise `time_limit_s`."
    )


def plain(value: Any) -> Any:
    """Return a value as plain JSON: times as ISO text, other types as text or null."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | str):
        return value
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> float | str | None:
    """Return a scalar as a JSON value."""
    if isinstance(value, int):
        return int(value) if abs(value) <= MAX_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return str(value)


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
