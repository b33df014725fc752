"""One connection to MongoDB or Amazon DocumentDB, shared by everything that stores documents.

Plain features only: no transactions, no server-side expressions, no retryable writes (DocumentDB has none). Every
write of the platform is idempotent instead, so `MongoConnection.call` may repeat it.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, TypeVar

import dagster as dg
from bson import CodecOptions
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from domain.errors import PlatformError, ServerUnavailableError, SettingsError
from resources.embedded import addresses_of
from resources.tls import TlsProblem, tls_problem

Document = dict[str, Any]
Indexes = tuple[tuple[str, ...], ...]
T = TypeVar("T")

SERVER_SELECTION_MS = 10_000
CONNECT_MS = 5_000
SOCKET_MS = 60_000
CLOCK_KEPT_S = 10.0
ATTEMPTS = 4
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
    embedded_home: str | None = Field(default=None, description="Folder of the embedded server, when there is no uri.")
    setting: str = Field(default="DOCDB_URI", description="Name of the setting that holds the address, for messages.")

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
        database = self._client().get_database(self.database)
        found = database.get_collection(name, codec_options=_AWARE, write_concern=concern)
        made = _made_indexes(self._uri(), self.database)
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
        clock = _clock_of(self._uri())
        if not clock or _steady_s() - clock[-1].at_s >= CLOCK_KEPT_S:
            hello: Document = self.call(lambda: self._client().admin.command("hello", codec_options=_AWARE))
            clock[:] = [_Asked(hello["localTime"], _steady_s())]
        said = clock[-1]
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
        attempts = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, AutoReconnect) and not self._is_lasting(error)),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.25, max=5),
            reraise=True,
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

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say which server failed and which setting names it, without its credentials."""
        try:
            yield
        except (AutoReconnect, ConfigurationError, InvalidURI) as error:
            raise self._no_answer(error) from None
        except OperationFailure as error:
            if error.code in {_LOGIN_FAILED, _UNAUTHORIZED}:
                raise self._refused(error) from None
            raise

    def _no_answer(self, error: PyMongoError) -> PlatformError:
        """Say what keeps the server from answering: trust in its certificate, or anything else."""
        problem = self._tls_problem(error)
        if problem is not None and problem.lasting:
            return SettingsError(f"MongoDB at {self._address()} is not trusted: {problem.told}")
        more = f" {problem.told}" if problem is not None else ""
        msg = f"MongoDB at {self._address()} did not answer: {type(error).__name__}. {self._next_step()}{more}"
        return ServerUnavailableError(msg)

    def _refused(self, error: OperationFailure) -> SettingsError:
        """Say what the server refuses the user: the log-in, or one command."""
        why = f"user, password or authSource in {self.setting} is wrong."
        if error.code == _UNAUTHORIZED:
            why = f"the user in {self.setting} may not {_command(error)}. Its role is in deploy/mongodb-roles.json."
        return SettingsError(f"MongoDB at {self._address()} refused access to `{self.database}`: {why}")

    def _is_lasting(self, error: BaseException) -> bool:
        """Tell whether the server's certificate is refused, so that asking again is no use."""
        problem = self._tls_problem(error)
        return problem is not None and problem.lasting

    def _tls_problem(self, error: BaseException) -> TlsProblem | None:
        """Tell what is wrong with a secure connection."""
        return tls_problem(error, authority=f"tlsCAFile in {self.setting}", plain=f"tls= in {self.setting}")

    def _make_index(self, collection: Collection[Document], keys: list[tuple[str, int]]) -> None:
        """Make an index; who may not make any uses those that are there."""
        try:
            self.call(lambda: collection.create_index(keys))
        except SettingsError:
            found = self.call(collection.index_information)
            if keys not in [index["key"] for index in found.values()]:
                raise

    def _client(self) -> MongoClient[Document]:
        """Return this process's client for the address."""
        try:
            return _client(self._uri())
        except (PyMongoError, ValueError):  # a malformed address, which the driver's message would repeat in full
            msg = f"{self.setting} is no MongoDB address. Expected mongodb://host:port/ or mongodb+srv://host/."
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
class _Asked:
    """When the server said what time it is."""

    time: datetime
    at_s: float


@lru_cache(maxsize=64)
def _clock_of(uri: str) -> list[_Asked]:  # noqa: ARG001  the argument is the cache's key
    """Return what a server last said of the time, at most one answer."""
    return []


def _steady_s() -> float:
    """Return the seconds since this machine was started, its sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@lru_cache(maxsize=64)
def _made_indexes(uri: str, database: str) -> set[str]:  # noqa: ARG001  the arguments are the cache's key
    """Return the collections of a database whose indexes this process has made."""
    return set()


@cache
def _client(uri: str) -> MongoClient[Document]:
    """Open one client per process and address."""
    return MongoClient(
        uri,
        serverSelectionTimeoutMS=SERVER_SELECTION_MS,
        connectTimeoutMS=CONNECT_MS,
        socketTimeoutMS=SOCKET_MS,
        retryWrites=False,
        appname="analysis-assets",
        tz_aware=True,
    )
