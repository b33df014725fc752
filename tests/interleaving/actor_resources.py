"""The resources of each actor: the product's own, over connections whose every request stops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import SecretStr

from domain.analysis.breaker import Breaker
from domain.failures import JobError
from engine.discovery.analyses import AnalysisEntry, load_analysis
from engine.execution.environment import Machine, RunCode, run_code
from engine.execution.outcome import Services
from engine.execution.publish import METADATA
from engine.worker.pool import WorkerPool
from engine.worker.process import job_error_of
from engine.worker.task import Task, Work, run_task
from operations.platform import Platform
from resources.connections import ClientLimits, Connections, connect
from resources.inbox.job_inbox import JobInbox
from resources.inbox.notes import InboxNotes
from resources.inputs.resource import Inputs
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from resources.mongo_collection import RetryingCollection, ServerCalls
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from resources.settings import Settings
from sensors.job_files.stores import Stores
from tests.interleaving.accesses import Access, Accesses
from tests.interleaving.doubles_dagster import DagsterDouble
from tests.interleaving.gates import Call, GatedCollection, GatedDagster, GatedS3
from tests.interleaving.system import FRAGILE, NAME, PLATFORM, RECORDS, SPACES, Change, Execution, System, current

LAB = Path(__file__).parent / "lab"
LEASE_S = 600.0


@dataclass(frozen=True)
class ActorGate:
    """Where the requests of one actor stop."""

    actor: str

    def before(self, what: str, accesses: Accesses) -> None:
        """Wait until a request may be sent."""
        system = current()
        if system.scheduler is not None and self.actor in system.scheduler.actors:
            system.scheduler.stop(self.actor, what, accesses)
        else:
            system.count()

    def before_upload(self, attempt: str, accesses: Accesses) -> None:
        """Wait until the files of an attempt may be uploaded."""
        scheduler = current().scheduler
        if scheduler is not None and self.actor in scheduler.actors:
            scheduler.stop_before_upload(self.actor, attempt, accesses)

    def clock(self) -> None:
        """Wait until the time may be read."""
        scheduler = current().scheduler
        if scheduler is not None and self.actor in scheduler.actors:
            scheduler.stop(self.actor, "read the clock", (), kind="clock")

    def judged(self) -> None:
        """Note that the time read last is compared with a lease."""
        scheduler = current().scheduler
        if scheduler is not None and self.actor in scheduler.actors:
            scheduler.note_judgement(self.actor)

    def changed(self, space: str, operation: str, document: Mapping[str, Any]) -> None:
        """Note that a record or a claim was changed."""
        system = current()
        if space == "records":
            own = document.get("analysis_assets") or {}
            what = "remove" if operation == "delete" or "withdrawn" in document else "commit"
            attempt = str(own.get("attempt", document.get("analysis_assets.attempt")))
            system.changes.append(Change(system.moment(), what, str(document["_id"]), attempt))
            if what == "commit" and not system.has_object(f"{document['_id']}/{attempt}/{METADATA}"):
                system.seen.append(f"moments: attempt {attempt[:8]} was committed and is not complete")
        if space == "breakers" and "state" in document:
            who = str(document.get("closed_by", ""))
            system.changes.append(Change(system.moment(), document["state"], str(document["_id"]), who))
        if space == "jobs" and operation == "update" and document.get("lease"):
            attempt = str(document["lease"]["attempt"])
            system.changes.append(Change(system.moment(), "claim", str(document["_id"]), attempt))

    def deleting(self, keys: Sequence[str]) -> None:
        """Note that objects are deleted."""
        system = current()
        for record in system.raw().find({"withdrawn": None}):
            folder = f"{record['_id']}/{record['analysis_assets']['attempt']}/"
            if any(folder in key for key in keys):
                system.seen.append(f"moments: files of the current attempt {folder[65:73]} were deleted")

    def called(self, call: Call) -> None:
        """Note a call of a collection."""
        system = current()
        if system.keeps_calls:
            system.calls.append(call)


class ActorMongo(MongoConnection):
    """The connection of one actor."""

    actor: str

    def collection(self, name: str, **_: Any) -> RetryingCollection:
        """Return a collection whose requests stop."""
        raw: Any = GatedCollection(current().servers.collection(name), ActorGate(self.actor), SPACES[name])
        return RetryingCollection(raw, self.calls)

    @property
    def calls(self) -> ServerCalls:
        """Calls that are repeated as in the product."""
        return ServerCalls(current().servers.uri, self.database, self.setting, "", self.attempts)

    def now(self) -> datetime:
        """Return the server's time."""
        ActorGate(self.actor).clock()
        return current().now()


class ActorS3(S3Connection):
    """The connection of one actor."""

    actor: str

    @property
    def client(self) -> Any:
        """A client whose requests stop."""
        return GatedS3(current().servers.client, ActorGate(self.actor))

    @property
    def puts(self) -> Any:
        """Nothing is put past the client."""
        return SimpleNamespace(put=lambda *_, **__: None)


class PoolDouble(WorkerPool):
    """Executes user code in the run's own process, and counts it."""

    actor = PLATFORM

    def __init__(self, **_: Any) -> None:
        """Take what the real pool takes."""

    def expect(self, jobs: int) -> None:
        """Start nothing."""

    def stop(self) -> None:
        """End nothing."""

    def end(self, attempt: str) -> None:
        """End nothing."""

    def run(self, task: Task) -> Work | JobError:
        """Execute one job."""
        system = current()
        ActorGate(self.actor).before(f"execute {task.folder.name[:8]}", (Access("history"),))
        execution = Execution(system.moment(), self.actor, task.folder.name, task.code_version)
        system.executions.append(execution)
        if len(system.executions) in system.failing:
            return JobError(kind="exception", message="The analysis raised.", permanent=True)
        task.results.mkdir()
        task.log.touch()
        try:
            return run_task(task, alone=False)
        except Exception as error:  # noqa: BLE001  as in a worker
            return job_error_of(error, task.transient)


@cache
def pool_of(actor: str) -> type[WorkerPool]:
    """Return the pool of an actor."""
    return type("ActorPool", (PoolDouble,), {"actor": actor})


@cache
def entry_of(code: str) -> AnalysisEntry:
    """Return the analysis as the first, the second or the third code has it; the third has other parameters.

    The fragile one is the first, with a circuit breaker that opens after a few failures.
    """
    if code == "fragile":
        first = entry_of("first")
        breaker = Breaker(failures=FRAGILE, share=0.1)
        return replace(first, analysis=first.analysis.model_copy(update={"breaker": breaker}))
    return load_analysis(LAB / code / f"{NAME}.py")


@cache
def repository_of(code: str) -> RunCode:
    """Return the state of the repository, which no actor changes; git is not called for each of thousands of runs."""
    return run_code(entry_of(code), Machine(Path()))


@dataclass(frozen=True)
class Desk(Platform):
    """The platform as a person's command opens it, with an analysis of the given code."""

    code: str = "first"

    def entry(self, name: str) -> AnalysisEntry:
        """Return the analysis."""
        return entry_of(self.code)


@cache
def _settings(folder: Path, uri: str, root: str) -> Settings:
    """Return the settings of every actor."""
    return Settings(
        analysis_home=folder,
        dagster_home=folder / "dagster",
        docdb_uri=SecretStr(uri),
        docdb_collection=RECORDS,
        analysis_bucket=root,
        job_inbox=str(folder / "inbox"),
    )


@cache
def _connections(actor: str, settings: "_Settings") -> Connections:
    """Return the resources of an actor, made once: they find the system of the moment by themselves."""
    found = connect(settings.value, limits=ClientLimits(lease_s=LEASE_S))
    mongo = ActorMongo(uri=f"{settings.uri}#{actor}", database="interleaving", actor=actor)
    s3 = ActorS3(actor=actor, endpoint_url="http://s3.invalid", region_name=None)
    return Connections(
        job_inbox=JobInbox(root=settings.value.job_inbox, s3=s3),
        inbox_queue=found.inbox_queue,
        inbox_notes=InboxNotes(mongo=mongo, records_name=RECORDS),
        ledger=Ledger(mongo=mongo, records_name=RECORDS, lease_s=LEASE_S),
        record_store=RecordStore(mongo=mongo, name=RECORDS),
        results_store=ResultsStore(s3=s3, root=settings.root, browser_url="http://results.invalid"),
        catalog_files=found.catalog_files,
        inputs=Inputs(s3=s3),
        asset_records=found.asset_records,
        alerts=found.alerts,
    )


@dataclass(frozen=True)
class _Settings:
    """Settings that can be the key of a cache."""

    folder: Path
    uri: str
    root: str

    @property
    def value(self) -> Settings:
        """The settings."""
        return _settings(self.folder, self.uri, self.root)


def connections(system: System, actor: str) -> Connections:
    """Return the resources of an actor."""
    return _connections(actor, _Settings(system.folder, system.servers.uri, system.servers.root))


def jobs_as_seen_by(s3: S3Connection) -> RetryingCollection:
    """Return the collection of jobs with the gate of the actor that a connection to S3 belongs to."""
    actor = s3.actor if isinstance(s3, ActorS3) else PLATFORM
    return connections(current(), actor).ledger.mongo.collection(f"{RECORDS}_jobs")


def desk(system: System, actor: str, code: str = "first") -> Platform:
    """Return the platform as an actor's command opens it."""
    settings = _Settings(system.folder, system.servers.uri, system.servers.root).value
    return Desk(settings, entry_of(code).path.parent, connections(system, actor), code)


def stores(system: System, actor: str) -> Stores:
    """Return the resources of an actor's tick."""
    c = connections(system, actor)
    return Stores(c.job_inbox, c.inbox_notes, c.ledger, c.record_store, c.results_store)


def services(system: System, actor: str) -> Services:
    """Return the resources of an actor's run."""
    return Services.of(connections(system, actor), Machine(system.folder / "work"))


def instance(system: System, actor: str) -> Any:
    """Return Dagster as an actor sees it."""
    return GatedDagster(DagsterDouble(system.dagster), ActorGate(actor))
