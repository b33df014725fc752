"""One connection to MongoDB or Amazon DocumentDB, shared by everything that stores documents.

Plain features only: no transactions, no server-side expressions, no retryable writes (DocumentDB has none). Every
write of the platform is idempotent instead, so `MongoConnection.call` may repeat it.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import dagster as dg
from bson import CodecOptions
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from pymongo.uri_parser import split_options

from domain.errors import PlatformError, ServerUnavailableError, SettingsError
from domain.retry import Backoff
from resources.embedded.embedded import addresses_of
from resources.retrying import retrying
from resources.tls import TlsProblem, tls_problem

Document = dict[str, Any]
Indexes = tuple[tuple[str, ...], ...]
T = TypeVar("T")

CLOCK_KEPT_S = 10.0
_UNLESS_GIVEN = {
    "serverSelectionTimeoutMS": 10_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 60_000,
    "appname": "analysis-assets",
}
"""Options of every client; those that stand in the address count instead."""

_AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True)
_UNAUTHORIZED = 13
_LOGIN_FAILED = 18
_REFUSED_COMMAND = re.compile(r'execute command \{ (\w+): "([^"]+)"')


class MongoConnection(dg.ConfigurableResource["MongoConnection"]):
    """A lazy, cached connection to one database.

    See https://docs.dagster.io/guides/build/external-resources for how Dagster builds resources.
    """

    uri: str | None = Field(default=None, description="DOCDB_URI; unset: the embedded server.")
    database: str = Field(description="DOCDB_DATABASE.")
    embedded_home: str | None = Field(default=None, description="Folder of the embedded server, if no uri is given.")
    setting: str = Field(default="DOCDB_URI", description="Name of the setting that holds the address, for messages.")
    attempts: int = Field(default=4, ge=1, description="Tries of one request until the server counts as unavailable.")

    def collection(self, name: str, *, indexes: Indexes = (), durable: bool = False) -> Collection[Document]:
        """Return a collection.

        Parameters
        ----------
        name : str
            Its name.
        indexes : tuple of tuple of str
            Fields of each index that its queries stand on; a leading ``-`` means descending. Made once per process.
        durable : bool
            Wait until writes are in the journal: for writes that commit something.
        """
        concern = WriteConcern(w="majority", j=True) if durable else WriteConcern(w="majority")
        opened = self._opened()
        database = opened.client.get_database(self.database)
        found = database.get_collection(name, codec_options=_AWARE, write_concern=concern)
        made = opened.indexed.setdefault(self.database, set())
        if indexes and name not in made:
            for fields in indexes:
                keys = [(f.lstrip("-"), DESCENDING if f.startswith("-") else ASCENDING) for f in fields]
                self._make_index(found, keys)
            made.add(name)
        return found

    def now(self) -> datetime:
        """Return the server's time: leases of several machines are compared by one clock.

        Asked again after `CLOCK_KEPT_S`; in between it is counted on with this machine's steady clock, which nobody
        sets and which goes on while the machine sleeps.

        Returns
        -------
        datetime
            With time zone, exact to a fraction of a second.
        """
        said = self._opened().said
        if said is None or _steady_s() - said.at_s >= CLOCK_KEPT_S:
            hello: Document = self.call(lambda: self._opened().client.admin.command("hello", codec_options=_AWARE))
            said = self._opened().said = _Said(hello["localTime"], _steady_s())
        return said.time + timedelta(seconds=_steady_s() - said.at_s)

    def call(self, function: Callable[[], T]) -> T:
        """Run idempotent database work, again after a lost connection.

        Raises
        ------
        ServerUnavailableError
            If the server does not answer; names its address and the setting.
        SettingsError
            If the server refuses the credentials, its certificate is not trusted, or the user may not do this.
        """
        attempts = retrying(
            Backoff(first_s=0.25, longest_s=5, attempts=self.attempts),
            is_transient=lambda error: isinstance(error, AutoReconnect) and not self._is_lasting(error),
        )
        with self._errors():
            return attempts(function)

    def each(self, cursor: Iterable[Document]) -> Iterator[Document]:
        """Yield the documents of a cursor, with the errors of `call`.

        Nothing is repeated after a lost connection, because a part was given away already.

        Raises
        ------
        ServerUnavailableError
            If the server does not answer.
        SettingsError
            If the server refuses the credentials.
        """
        with self._errors():
            yield from cursor

    def close(self) -> None:
        """Close this process's client for the address; what asks next opens another one."""
        close_client(self._uri())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say which server failed and which setting names it, without its credentials."""
        try:
            yield
        except AutoReconnect as error:
            raise self._no_answer(error) from error
        except (ConfigurationError, InvalidURI) as error:  # the cause would show the whole address
            raise self._no_answer(error) from None
        except OperationFailure as error:
            if error.code in {_LOGIN_FAILED, _UNAUTHORIZED}:
                raise self._refused(error) from None
            raise

    def _no_answer(self, error: PyMongoError) -> PlatformError:
        """Say what keeps the server from answering: trust in its certificate, or anything else."""
        problem = self._tls_problem(error)
        if problem is not None and problem.lasting:
            return SettingsError(f"MongoDB at {self._address()} is not trusted: {problem.advice}")
        more = f" {problem.advice}" if problem is not None else ""
        msg = f"MongoDB at {self._address()} did not answer: {type(error).__name__}. {self._next_step()}{more}"
        return ServerUnavailableError(msg)

    def _refused(self, error: OperationFailure) -> SettingsError:
        """Say what the server refuses the user: the log-in, or one command."""
        why = f"user, password or authSource in {self.setting} is wrong."
        if error.code == _UNAUTHORIZED:
            why = f"the user in {self.setting} may not {_command(error)}. Its role is in deploy/mongodb-roles.json."
        return SettingsError(f"MongoDB at {self._address()} denied access to `{self.database}`: {why}")

    def _is_lasting(self, error: BaseException) -> bool:
        """Tell whether the server's certificate is refused, so that asking again is no use."""
        problem = self._tls_problem(error)
        return problem is not None and problem.lasting

    def _tls_problem(self, error: BaseException) -> TlsProblem | None:
        """Return what is wrong with a secure connection."""
        return tls_problem(error, authority=f"tlsCAFile in {self.setting}", plain=f"tls= in {self.setting}")

    def _make_index(self, collection: Collection[Document], keys: list[tuple[str, int]]) -> None:
        """Make an index; who may not make any uses those that are there."""
        try:
            self.call(lambda: collection.create_index(keys))
        except SettingsError:
            found = self.call(collection.index_information)
            if keys not in [index["key"] for index in found.values()]:
                raise

    def _opened(self) -> "_Opened":
        """Return what this process has for the address."""
        try:
            return _opened(self._uri())
        except (PyMongoError, ValueError):  # a malformed address, which the driver's message would repeat in full
            msg = f"{self.setting} is not a MongoDB address. Expected mongodb://host:port/ or mongodb+srv://host/."
            raise SettingsError(msg) from None
        except OSError as error:
            msg = f"A file that {self.setting} names (tlsCAFile, tlsCertificateKeyFile) cannot be used: {error}."
            raise SettingsError(msg) from None

    def _uri(self) -> str:
        """Return the configured address, else the embedded server's."""
        return self.uri or addresses_of(self.embedded_home or "").docdb_uri

    def _address(self) -> str:
        """Return the hosts of the address, without user and password."""
        hosts = re.split("[/?]", self._uri().partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
        return hosts or "an empty address"

    def _next_step(self) -> str:
        """Say what an operator does about a server that is down."""
        if self.uri:
            return f"Check that it runs and that {self.setting} names it."
        return "Start it with `make dev`, or set DOCDB_URI to a server of your own."


def _command(error: OperationFailure) -> str:
    """Name the command that was refused and its collection, nothing else: the server repeats the whole command."""
    found = _REFUSED_COMMAND.search(str((error.details or {}).get("errmsg", "")))
    return f"`{found[1]}` the collection `{found[2]}`" if found else "do this"


@dataclass(frozen=True)
class _Said:
    """When the server said what time it is."""

    time: datetime
    at_s: float


@dataclass
class _Opened:
    """What a process has for one address: a client, by database what has its indexes, and the time as last said."""

    client: MongoClient[Document]
    indexed: dict[str, set[str]] = field(default_factory=dict)
    said: _Said | None = None


_OPENED: dict[str, _Opened] = {}


def close_client(uri: str) -> None:
    """Close this process's client for an address, if there is one; what asks next opens another one.

    Parameters
    ----------
    uri : str
        The address, as it was given to `MongoConnection`.
    """
    if (opened := _OPENED.pop(uri, None)) is not None:
        opened.client.close()


def _opened(uri: str) -> _Opened:
    """Return what this process has for an address; threads that ask at once get the same."""
    if (found := _OPENED.get(uri)) is not None:
        return found
    made = _Opened(_new_client(uri))
    kept = _OPENED.setdefault(uri, made)
    if kept is not made:
        made.client.close()
    return kept


def _new_client(uri: str) -> MongoClient[Document]:
    """Open a client. Writes are never retried by the driver, whatever the address says: DocumentDB cannot."""
    options = uri.partition("?")[2]  # nothing is looked up: an address of mongodb+srv is resolved by the client
    given = split_options(options, validate=False, normalize=False) if options else {}
    usual: dict[str, Any] = {name: value for name, value in _UNLESS_GIVEN.items() if name not in given}
    return MongoClient(uri, retryWrites=False, tz_aware=True, **usual)


def _steady_s() -> float:
    """Return the seconds since this machine was started, its sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
