"""One connection to MongoDB or Amazon DocumentDB, shared by all collections.

Plain features only: no transactions, no server-side expressions, no retryable writes (DocumentDB has none). Every
write of the platform is idempotent instead, so `RetryingCollection` may repeat it.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from threading import Lock
from typing import Any

import dagster as dg
from bson import CodecOptions
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, MongoClient, ReadPreference, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import split_options

from domain.errors import SettingsError
from resources.embedded.embedded import addresses_of
from resources.mongo_collection import Document, RetryingCollection, ServerCalls

Indexes = tuple[tuple[str, ...], ...]

CLOCK_KEPT_S = 10.0
_DEFAULT_OPTIONS = {
    "serverSelectionTimeoutMS": 10_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 60_000,
    "appname": "analysis-assets",
}
"""Options of every client; those in the URI take precedence."""

_AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True)
_LOCK = Lock()


class MongoConnection(dg.ConfigurableResource["MongoConnection"]):
    """A lazy connection to one database; all connections of a process to a URI share a client.

    See https://docs.dagster.io/guides/build/external-resources for how Dagster builds resources.
    """

    uri: str | None = Field(default=None, description="DOCDB_URI; unset: the embedded server.")
    database: str = Field(description="DOCDB_DATABASE.")
    embedded_home: str | None = Field(default=None, description="Folder of the embedded server, if no uri is given.")
    setting: str = Field(default="DOCDB_URI", description="Name of the setting that holds the address, for messages.")
    attempts: int = Field(default=4, ge=1, description="Tries of one request until the server counts as unavailable.")

    def collection(
        self, name: str, *, indexes: Indexes = (), durable: bool = False, read_only: bool = False
    ) -> RetryingCollection:
        """Return a collection.

        Parameters
        ----------
        name : str
            Name of the collection.
        indexes : tuple of tuple of str
            Fields of each index that its queries need; a leading ``-`` means descending. Created once per process.
        durable : bool
            Wait until writes are in the journal: for writes that commit results.
        read_only : bool
            Read with the read preference and read concern of the URI, because no decision depends on the data. By default
            reads use the primary with majority read concern, whatever the URI says, so that they see all writes that were
            acknowledged earlier.
        """
        options: dict[str, Any] = {"write_concern": WriteConcern(w="majority", j=True if durable else None)}
        if not read_only:
            options |= {"read_preference": ReadPreference.PRIMARY, "read_concern": ReadConcern("majority")}
        raw = self._client().get_database(self.database).get_collection(name, codec_options=_AWARE, **options)
        collection = RetryingCollection(raw, self.calls)
        indexed = self._server().indexed.setdefault(self.database, set())
        if indexes and name not in indexed:
            for fields in indexes:
                keys = [(f.lstrip("-"), DESCENDING if f.startswith("-") else ASCENDING) for f in fields]
                _ensure_index(collection, keys)
            indexed.add(name)
        return collection

    @property
    def calls(self) -> ServerCalls:
        """Caller of the server, with the retries and errors that all collections use."""
        advice = "Start it with `make dev`, or set DOCDB_URI to a server of your own."
        if self.uri:
            advice = f"Check that it runs and that {self.setting} names it."
        return ServerCalls(self._uri(), self.database, self.setting, advice, self.attempts)

    def now(self) -> datetime:
        """Return the server's time, so that all hosts use one clock for leases.

        The server is queried again after `CLOCK_KEPT_S`. In between the time advances with this host's steady clock, which
        cannot be set and continues while the host is suspended.

        Returns
        -------
        datetime
            With time zone, accurate to a fraction of a second.
        """
        clock = self._server().clock
        if clock is None or _steady_s() - clock.read_at_s >= CLOCK_KEPT_S:
            hello = self.calls(self._hello)
            clock = self._server().clock = _Clock(hello["localTime"], _steady_s())
        return clock.time + timedelta(seconds=_steady_s() - clock.read_at_s)

    def close(self) -> None:
        """Close this process's client for the URI; the next use opens another one."""
        close_client(self._uri())

    def _hello(self) -> Document:
        """Return the server's description of itself, which contains its time."""
        answer: Document = self._client().admin.command("hello", codec_options=_AWARE)
        return answer

    def _client(self) -> MongoClient[Document]:
        """Return the open client for the URI."""
        try:
            return self._server().client
        except (PyMongoError, ValueError):  # a malformed URI, which the driver's message would contain
            msg = f"{self.setting} is not a MongoDB address. Expected mongodb://host:port/ or mongodb+srv://host/."
            raise SettingsError(msg) from None
        except OSError as error:
            msg = f"A file that {self.setting} names (tlsCAFile, tlsCertificateKeyFile) cannot be used: {error}."
            raise SettingsError(msg) from None

    def _server(self) -> "_Server":
        """Return the state of this process for the URI."""
        return _server_at(self._uri())

    def _uri(self) -> str:
        """Return the configured URI, by default that of the embedded server."""
        return self.uri or addresses_of(self.embedded_home or "").docdb_uri


def close_client(uri: str) -> None:
    """Close this process's client for a URI, if there is one; the next use opens another one.

    Parameters
    ----------
    uri : str
        URI as passed to `MongoConnection`.
    """
    _server_at(uri).close()


@dataclass(frozen=True)
class _Clock:
    """The server's time, and the steady time at which it was read."""

    time: datetime
    read_at_s: float


@dataclass
class _Server:
    """State of a process for one URI: a client, the indexed collections of each database, and the server's time."""

    uri: str
    indexed: dict[str, set[str]] = field(default_factory=dict)
    clock: _Clock | None = None
    opened: MongoClient[Document] | None = None
    lock: Lock = field(default_factory=Lock)

    @property
    def client(self) -> MongoClient[Document]:
        """The client, shared by all threads."""
        with self.lock:
            if self.opened is None:
                self.opened = _new_client(self.uri)
            return self.opened

    def close(self) -> None:
        """Close the client and clear the state of the server."""
        with self.lock:
            closed, self.opened, self.indexed, self.clock = self.opened, None, {}, None
        if closed is not None:
            closed.close()


def _server_at(uri: str) -> _Server:
    """Return the state of this process for a URI, shared by all threads."""
    with _LOCK:  # with lru_cache alone two threads could create one each, and one client would stay open
        return _cached_server_at(uri)


@cache
def _cached_server_at(uri: str) -> _Server:
    return _Server(uri)


def _new_client(uri: str) -> MongoClient[Document]:
    """Open a client. Writes are never retried by the driver, whatever the URI says: DocumentDB does not support it."""
    options = uri.partition("?")[2]  # the client resolves a mongodb+srv URI
    given = split_options(options, validate=False, normalize=False) if options else {}
    defaults: dict[str, Any] = {name: value for name, value in _DEFAULT_OPTIONS.items() if name not in given}
    return MongoClient(uri, retryWrites=False, tz_aware=True, **defaults)


def _ensure_index(collection: RetryingCollection, keys: list[tuple[str, int]]) -> None:
    """Create an index; a user without the right to create one uses the existing ones."""
    try:
        collection.create_index(keys)
    except SettingsError:
        if keys not in [index["key"] for index in collection.index_information().values()]:
            raise


def _steady_s() -> float:
    """Return the time since the host was started, including suspension (s)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
