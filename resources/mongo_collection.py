"""A collection of MongoDB whose calls are repeated after a lost connection, with errors that name the server and its setting.

The verbs are pymongo's. It has only those that can be repeated: every write of the platform inserts under a fixed ``_id``, sets
fields, or filters by the state from which it starts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

from pymongo import DeleteOne, ReplaceOne, ReturnDocument, UpdateOne
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from pymongo.results import BulkWriteResult, DeleteResult, InsertOneResult, UpdateResult

from domain.errors import PlatformError, ServerUnavailableError, SettingsError
from domain.retry import Backoff
from resources.clients.retrying import retrying
from resources.clients.tls import TlsProblem, tls_problem

Document = dict[str, Any]
Fields = Sequence[str] | Mapping[str, int] | None
Sort = Sequence[tuple[str, int]]
Write = UpdateOne | ReplaceOne[Document] | DeleteOne
P = ParamSpec("P")
T = TypeVar("T")

IDS_IN_A_QUERY = 10_000
"""Maximum number of ids in one query: a query, like every document of MongoDB, has at most 16 MB."""

_INTERRUPTED = frozenset(
    {
        *(
            6,
            7,
            89,
            91,
            134,
            189,
            262,
            9001,
            10107,
            11600,
            11602,
            13435,
            13436,
        ),  # retryable by the drivers' specification
        *(
            43,
            64,
            112,
        ),  # an unknown cursor after a restart, an unconfirmed write, a write conflict
    }
)
"""Codes of errors that a server gives while members of its replica set stop, start or elect a primary.

See https://github.com/mongodb/specifications/blob/master/source/retryable-writes/retryable-writes.md
"""

_UNAUTHORIZED = 13
_LOGIN_FAILED = 18
_REFUSED_COMMAND = re.compile(r'execute command \{ (\w+): "([^"]+)"')


@dataclass(frozen=True)
class ServerCalls:
    """Calls of one server: repeated after a lost connection, with errors for an operator.

    Attributes
    ----------
    uri : str
        URI of the server. Messages contain its hosts, never the user and the password.
    database : str
        Name of the database, for messages.
    setting : str
        Name of the setting with the URI, for messages.
    advice : str
        Advice for an operator if the server is unavailable: one sentence.
    attempts : int
        Maximum number of calls before the server is considered unavailable.
    """

    uri: str
    database: str
    setting: str
    advice: str
    attempts: int

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call an idempotent function, again after a lost connection or while a replica set elects a primary.

        Raises
        ------
        ServerUnavailableError
            If the server does not answer; the message has its hosts and the setting.
        SettingsError
            If the server rejects the credentials, its certificate is not trusted, or the user lacks a privilege.
        """
        attempts = retrying(
            Backoff(first_s=0.25, longest_s=5, attempts=self.attempts),
            is_transient=lambda error: _is_interrupted(error) and not self._is_lasting(error),
        )
        with self.errors():
            return attempts(function, *args, **kwargs)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Convert the errors of pymongo into those of `__call__`, without a retry."""
        try:
            yield
        except AutoReconnect as error:
            raise self._unavailable(error) from error
        except (ConfigurationError, InvalidURI) as error:  # the cause would show the password in the URI
            raise self._unavailable(error) from None
        except OperationFailure as error:
            if _is_interrupted(error):
                raise self._unavailable(error) from error
            if error.code in {_LOGIN_FAILED, _UNAUTHORIZED}:
                raise self._denied(error) from None
            raise

    def _unavailable(self, error: PyMongoError) -> PlatformError:
        """Return the error for a server that does not answer, or whose certificate is not trusted."""
        problem = self._tls_problem(error)
        if problem is not None and problem.lasting:
            return SettingsError(f"MongoDB at {self._hosts()} is not trusted: {problem.advice}")
        more = f" {problem.advice}" if problem is not None else ""
        msg = f"MongoDB at {self._hosts()} did not answer: {type(error).__name__}. {self.advice}{more}"
        return ServerUnavailableError(msg)

    def _denied(self, error: OperationFailure) -> SettingsError:
        """Return the error for a failed authentication, or for a missing privilege."""
        why = f"user, password or authSource in {self.setting} is wrong."
        if error.code == _UNAUTHORIZED:
            why = f"the user in {self.setting} may not {_command(error)}. Its role is in deploy/mongodb-roles.json."
        return SettingsError(f"MongoDB at {self._hosts()} denied access to `{self.database}`: {why}")

    def _is_lasting(self, error: BaseException) -> bool:
        """Return whether the certificate is not trusted, so that another call fails as well."""
        problem = self._tls_problem(error)
        return problem is not None and problem.lasting

    def _tls_problem(self, error: BaseException) -> TlsProblem | None:
        """Return why a TLS connection failed, if that is the cause."""
        return tls_problem(error, authority=f"tlsCAFile in {self.setting}", plain=f"tls= in {self.setting}")

    def _hosts(self) -> str:
        """Return the hosts of the address, without user and password."""
        hosts = re.split("[/?]", self.uri.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]
        return hosts or "an empty address"


class RetryingCursor:
    """The documents that match a query, which is sent when they are read.

    Parameters
    ----------
    calls : ServerCalls
        Caller of the server.
    open_cursor : callable
        Returns a new cursor.
    """

    def __init__(self, calls: ServerCalls, open_cursor: Callable[[], Cursor[Document]]) -> None:
        self._calls, self._open = calls, open_cursor

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents in batches. A lost connection is an error, because the caller has already used some of them."""
        with self._calls.errors(), self._open() as cursor:
            yield from cursor

    def to_list(self) -> list[Document]:
        """Return all documents; after a lost connection the whole query is repeated."""
        return self.collect(list)

    def collect(self, function: Callable[[Iterable[Document]], T]) -> T:
        """Return a function's result for all documents; after a lost connection the whole query is repeated.

        Parameters
        ----------
        function : callable
            Receives the documents one at a time, so that they need not be in memory together.
        """
        return self._calls(self._read, function)

    def _read(self, function: Callable[[Iterable[Document]], T]) -> T:
        with self._open() as cursor:
            return function(cursor)


class RetryingCollection:
    """A collection with pymongo's verbs, each of which is repeated after a lost connection.

    Parameters
    ----------
    raw : Collection
        Collection of pymongo, with its codec options and write concern.
    calls : ServerCalls
        Caller of its server.
    """

    def __init__(self, raw: Collection[Document], calls: ServerCalls) -> None:
        self.raw, self._calls = raw, calls

    def find(
        self, match: Document, fields: Fields = None, *, sort: Sort | None = None, limit: int = 0, **options: Any
    ) -> RetryingCursor:
        """Return the documents that match, to be iterated or read as a list.

        Parameters
        ----------
        match : dict
            Filter in the syntax of MongoDB.
        fields : sequence of str, or mapping to 1 or 0
            Fields to read, or with 0 to leave out; by default all.
        sort : sequence of (str, int), optional
            Fields, each with its direction (1 or -1); by default unordered.
        limit : int
            Maximum number of documents (0 = all).
        **options
            Further options of pymongo's ``find``.
        """
        return RetryingCursor(self._calls, partial(self.raw.find, match, fields, sort=sort, limit=limit, **options))

    def find_one(self, match: Document, fields: Fields = None, **options: Any) -> Document | None:
        """Return a document that matches, or None."""
        return self._calls(self.raw.find_one, match, fields, **options)

    def find_one_and_update(self, match: Document, change: Document) -> Document | None:
        """Update a document that matches and return the updated one; None if none matches."""
        return self._calls(self.raw.find_one_and_update, match, change, return_document=ReturnDocument.AFTER)

    def count_documents(self, match: Document, **options: Any) -> int:
        """Return the number of documents that match."""
        return self._calls(self.raw.count_documents, match, **options)

    def distinct(self, field: str, match: Document | None = None) -> list[Any]:
        """Return the distinct values of a field."""
        return self._calls(self.raw.distinct, field, match)

    def insert_one(self, document: Document) -> InsertOneResult:
        """Insert a document with an ``_id``. After a lost response, the repeated call raises ``DuplicateKeyError``."""
        return self._calls(self.raw.insert_one, document)

    def update_one(self, match: Document, change: Document, *, upsert: bool = False) -> UpdateResult:
        """Update a document that matches."""
        return self._calls(self.raw.update_one, match, change, upsert=upsert)

    def update_many(self, match: Document, change: Document) -> UpdateResult:
        """Update all documents that match."""
        return self._calls(self.raw.update_many, match, change)

    def replace_one(self, match: Document, document: Document, *, upsert: bool = False) -> UpdateResult:
        """Replace a document that matches."""
        return self._calls(self.raw.replace_one, match, document, upsert=upsert)

    def delete_one(self, match: Document) -> DeleteResult:
        """Delete a document that matches."""
        return self._calls(self.raw.delete_one, match)

    def bulk_write(self, writes: Sequence[Write], *, ordered: bool = True) -> BulkWriteResult:
        """Send several writes in one request."""
        return self._calls(self.raw.bulk_write, writes, ordered=ordered)

    def create_index(self, keys: Sort) -> str:
        """Create an index unless it exists."""
        return self._calls(self.raw.create_index, keys)

    def index_information(self) -> Mapping[str, Any]:
        """Return the indexes by name."""
        return self._calls(self.raw.index_information)


def _is_interrupted(error: BaseException) -> bool:
    """Return whether a call failed because of the state of the servers: a lost connection, or a write that is not confirmed."""
    if isinstance(error, BulkWriteError):  # without errors of single writes, only the write concern failed
        details = error.details or {}
        return not details.get("writeErrors") and bool(details.get("writeConcernErrors"))
    if isinstance(error, OperationFailure):
        return isinstance(error, WriteConcernError) or error.code in _INTERRUPTED
    return isinstance(error, AutoReconnect)


def _command(error: OperationFailure) -> str:
    """Return name and collection of the rejected command; the server's message contains the whole command."""
    found = _REFUSED_COMMAND.search(str((error.details or {}).get("errmsg", "")))
    return f"`{found[1]}` the collection `{found[2]}`" if found else "do this"
