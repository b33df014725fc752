"""One platform under test: servers in memory or real ones, and what is noted beside them."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from tests.interleaving.doubles_dagster import DagsterState
from tests.interleaving.doubles_mongo import Document, MongoDouble
from tests.interleaving.doubles_s3 import S3Double, StoredObject
from tests.interleaving.gates import Call
from tests.interleaving.scheduler import Scheduler, StuckError

NAME = "counted"
BUCKET = "interleaving"
RECORDS = "results"
SPACES = {
    RECORDS: "records",
    f"{RECORDS}_superseded": "superseded",
    f"{RECORDS}_jobs": "jobs",
    f"{RECORDS}_inbox": "notes",
    f"{RECORDS}_breakers": "breakers",
}
STANDSTILL = timedelta(hours=2)
"""How much time passes in one move: leases expire, and attempts count as old."""

FRAGILE = 2
"""Failures that open the circuit breaker of the fragile analysis."""

PLATFORM = "P"
"""What goes on when every actor has ended: it stops nowhere."""

_MOST_REQUESTS = 3000
_MANY_REQUESTS = 400


@dataclass(frozen=True)
class Stored:
    """Everything that servers in memory hold."""

    time: datetime
    documents: dict[str, list[Document]]
    objects: dict[tuple[str, str], StoredObject]


class Servers(Protocol):
    """MongoDB and S3."""

    uri: str
    client: Any
    root: str

    def collection(self, name: str) -> Any:
        """Return a collection as pymongo has it."""

    def now(self) -> datetime:
        """Return the time of MongoDB's server."""

    def let_time_pass(self, span: timedelta) -> None:
        """Let the server's time be later."""

    def dump(self) -> Stored:
        """Return everything that is stored."""


class ServersDouble:
    """Servers in memory, whose time moves by a millisecond whenever it is read."""

    uri = "mongodb://double/"
    root = BUCKET

    def __init__(self) -> None:
        self._time = datetime(2026, 1, 1, tzinfo=UTC)
        self.mongo = MongoDouble()
        self.client = S3Double(self.now)

    def dump(self) -> "Stored":
        """Return everything that is stored."""
        documents = {name: list(c.documents.values()) for name, c in self.mongo.collections.items()}
        return Stored(self.now(), documents, dict(self.client.objects))

    def load(self, stored: "Stored") -> None:
        """Store what other servers held."""
        self._time = stored.time
        for name, documents in stored.documents.items():
            self.mongo.collection(name).documents.update({d["_id"]: d for d in documents})
        self.client.objects.update(stored.objects)

    def collection(self, name: str) -> Any:
        """Return a collection."""
        return self.mongo.collection(name)

    def now(self) -> datetime:
        """Return the time."""
        self._time += timedelta(milliseconds=1)
        return self._time

    def let_time_pass(self, span: timedelta) -> None:
        """Let it be later."""
        self._time += span


@dataclass(frozen=True)
class Execution:
    """User code that ran."""

    moment: int
    actor: str
    attempt: str
    code_version: str


@dataclass(frozen=True)
class Change:
    """A record that was committed or removed, a claim, or a circuit breaker that opened or closed.

    Attributes
    ----------
    moment : int
        When.
    what : str
        ``claim``, ``commit``, ``remove``, ``open`` or ``closed``.
    key : str
        The result, the job of a claim, or the analysis of a breaker.
    attempt : str
        The attempt; who closed a breaker.
    """

    moment: int
    what: str
    key: str
    attempt: str


@dataclass(frozen=True)
class Act:
    """What a person did.

    Attributes
    ----------
    kind : str
        ``force``, ``cancel``, ``invalidate``, ``submit``, ``rerun``, ``archive``, ``resume`` or ``run``.
    began, ended : int
        When, and when the person had the answer.
    accepted : bool
        Whether the answer was that it is done.
    detail : str
        Of a submission its code version.
    since : datetime or None
        When it began, by the server's clock.
    """

    kind: str
    began: int
    ended: int
    accepted: bool
    detail: str = ""
    since: datetime | None = None


@dataclass
class System:
    """One platform under test.

    Attributes
    ----------
    servers : Servers
        Where documents and objects are.
    folder : Path
        Local disk.
    failing : set of int
        Which executions fail, the first one being 1.
    seen : list of str
        What must not be at any moment, as it was seen at one.
    """

    servers: Servers
    folder: Path
    failing: set[int] = field(default_factory=set)
    dagster: DagsterState = field(default_factory=DagsterState)
    executions: list[Execution] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    queue: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    launched: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    expiries: int = 0
    scheduler: Scheduler | None = None
    calls: list[Call] = field(default_factory=list)
    keeps_calls: bool = False
    requests: int = 0
    clock: "itertools.count[int]" = field(default_factory=itertools.count)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def moment(self) -> int:
        """Return a number that is larger than every earlier one."""
        return next(self.clock)

    def raw(self, kind: str = "") -> Any:
        """Return a collection without a gate: that of the records, or of another kind."""
        return self.servers.collection(f"{RECORDS}_{kind}" if kind else RECORDS)

    def now(self) -> datetime:
        """Return the server's time."""
        return self.servers.now()

    def has_object(self, path: str) -> bool:
        """Return whether there is an object below the results' root."""
        bucket, _, prefix = self.servers.root.partition("/")
        key = f"{prefix}/{path}" if prefix else path
        return bool(self.servers.client.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"))

    def expire(self) -> None:
        """Let every lease expire."""
        self.expiries += 1
        self.servers.let_time_pass(STANDSTILL)

    def is_leased(self) -> bool:
        """Return whether a lease is held."""
        now = self.servers.now()
        return self.raw("jobs").find_one({"state": "running", "lease.until": {"$gt": now}}) is not None

    def start(self, scheduler: Scheduler) -> None:
        """Let actors stop from now on."""
        self.scheduler = scheduler

    def end(self) -> None:
        """Let nothing stop any more."""
        self.scheduler = None

    @contextmanager
    def as_run(self, name: str) -> Iterator[None]:
        """Let an actor execute a run: reading its jobs again means that it polls."""
        actor = self.scheduler.actors.get(name) if self.scheduler is not None else None
        if actor is not None:
            actor.is_run, actor.reads = True, 0
        yield
        if actor is not None:
            actor.is_run = False

    def count(self) -> None:
        """Count requests that stop nowhere: what polls then waits for a lease to expire."""
        self.requests += 1
        if self.requests == _MANY_REQUESTS:
            self.expire()
        if self.requests > _MOST_REQUESTS:
            msg = "the platform does not come to rest"
            raise StuckError(msg)


_CURRENT: dict[str, System] = {}


def current() -> System:
    """Return the system that resources belong to."""
    return _CURRENT["system"]


def use(system: System) -> System:
    """Make a system the one that resources belong to."""
    _CURRENT["system"] = system
    return system
