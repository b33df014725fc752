"""A whole platform for one analysis: real servers, a separate Dagster instance, and jobs that no other test has."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg
import pytest

from domain.job.identity import result_id
from domain.job.job_file import Job
from domain.job.stored import Source, ingest
from engine.assets.factory import build_asset
from engine.assets.materialization import asset_key_of
from engine.discovery.analyses import AnalysisEntry, load_analysis
from engine.execution.batch import BatchRun, Pace
from engine.execution.environment import Machine
from engine.execution.outcome import Outcome, RunFacts, Services
from resources.dagster_storage.batch_events import report
from resources.data_assets.records import MongoAssetRecords
from resources.inputs.resource import Inputs
from resources.ledger.claims import JobClaims
from resources.ledger.commits import Commits
from resources.ledger.documents import job_id
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from tests.raw import jobs_of, superseded_of

LAB = Path(__file__).parents[1] / "lab"
PACE = Pace()
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass
class Platform:
    """One analysis with everything around it."""

    entry: AnalysisEntry
    services: Services
    asset: dg.AssetsDefinition
    instance: dg.DagsterInstance
    place: str = field(default_factory=lambda: f"s3://lab/{uuid.uuid4().hex}")

    @property
    def name(self):
        """Name of the analysis."""
        return self.entry.analysis.name

    def having(self, **services):
        """Give the same platform with other services, such as a ledger with short leases."""
        return replace(self, services=replace(self.services, **services))

    def results(self, kind):
        """Give the same results behind a store of another kind."""
        return kind(s3=self.services.results.s3, root=self.services.results.root)

    def records(self, kind):
        """Give the same records behind a store of another kind."""
        return kind(mongo=self.services.records.mongo, name=self.services.records.name)

    def ledger_with_leases_of(self, seconds, kind=Ledger):
        """Give the same ledger with leases of another length."""
        ledger = self.services.ledger
        return kind(mongo=ledger.mongo, records_name=ledger.records_name, lease_s=seconds)

    def ingest(self, *parameters, code_version=None, **source):
        """Store one job for each set of parameters; gives their keys, which are partitions then."""
        job = Job(s3_location=(self.place,))
        pairs = [ingest(self.entry.analysis, job, name="test", fixed=p) for p in parameters]
        requests = [(stored, Source(name="test", **source)) for stored, _ in pairs]
        self.services.ledger.requests.store(requests, code_version=code_version or self.entry.code_version)
        keys = [stored.job_key for stored, _ in pairs]
        self.instance.add_dynamic_partitions(self.name, keys)
        return keys

    def run(self, keys, *, instance=None, config=None, tags=None):
        """Materialize a range of partitions in one run; gives the run's result."""
        span = {RANGE_START: keys[0], RANGE_END: keys[-1]}
        return dg.materialize(
            [self.asset],
            instance=instance or self.instance,
            resources=self.resources(),
            tags={**span, **(tags or {})},
            run_config={"ops": {self.asset.op.name: {"config": config or {}}}},
            raise_on_error=False,
        )

    def resources(self):
        """Return the resources by the resource keys of the asset."""
        s = self.services
        return {
            "results_store": s.results,
            "record_store": s.records,
            "ledger": s.ledger,
            "inputs": s.inputs,
            "asset_records": s.assets,
        }

    def job(self, key):
        """Read a job's entry."""
        return self.services.ledger.jobs.get(self.name, key)

    def change(self, key, **fields):
        """Write fields of a job's document directly."""
        jobs_of(self.services.ledger).update_one({"_id": job_id(self.name, key)}, {"$set": fields})

    def result_id(self, key):
        """Give the id of the result that the current code makes of a job."""
        return result_id(self.name, self.entry.code_version, key)

    def record(self, key):
        """Read the record of a job's result."""
        return self.services.records.get(self.result_id(key))

    def superseded(self, key):
        """Read the records that lost their place."""
        return list(superseded_of(self.services.records).find({"name": self.result_id(key)}))

    def attempts_stored(self, key):
        """Name the attempts that have any file in S3."""
        bucket, _, prefix = f"{self.services.results.root}/{self.result_id(key)}/".partition("/")
        return {
            o["Key"].removeprefix(prefix).split("/")[0] for o in self.services.results.objects_below(bucket, prefix)
        }

    def materializations(self, key, *, instance=None):
        """Give what Dagster knows of a partition, newest first."""
        found = (instance or self.instance).fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset_key_of(self.name), asset_partitions=[key]), limit=20
        )
        return [record.asset_materialization for record in found.records]

    @contextmanager
    def batch(self, *, pace=PACE, **facts) -> Iterator[BatchRun]:
        """Open a run without Dagster."""
        run = RunFacts(**{"run_id": str(uuid.uuid4()), **facts})
        with BatchRun(self.entry, self.services, run, pace=pace) as batch:
            yield batch

    def work(self, *keys, **facts) -> dict[str, Outcome]:
        """Process jobs without Dagster."""
        with self.batch(**facts) as batch:
            found = {}
            for ended in batch.outcomes(keys):
                batch.settled(ended)
                found |= {outcome.job_key: outcome for outcome in ended}
            return found


class Crash(BaseException):
    """What a test throws where a process would die."""


@dataclass
class Verbs:
    """Counts calls that change something outside, and dies at one of them: from then on nothing gets out any more."""

    die: Callable[[], None]
    at: int | None = None
    calls: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, name):
        """Count a call, and die if it is its turn."""
        with self.lock:
            self.calls.append(name)
            if self.at is not None and len(self.calls) >= self.at:
                self.die()


def counting(cls, verbs, *names):
    """Make a subclass whose verbs are counted before they are done."""

    def counted(name):
        real = getattr(cls, name)

        def counted(self, *args, **kwargs):
            verbs(name)
            return real(self, *args, **kwargs)

        return counted

    return type(cls)(f"Counting{cls.__name__}", (cls,), {name: counted(name) for name in names})


def counting_claims(verbs):
    """Make a class of ledgers whose every change of a claim is counted."""
    claims = counting(JobClaims, verbs, "claim", "finish", "fail", "release", "mark_unclaimed")
    commits = counting(Commits, verbs, "begin")

    class CountingLedger(Ledger):
        """A ledger with counted claims."""

        @property
        def claims(self):
            """Give the same claims, counted."""
            return claims(**vars(super().claims))

        @property
        def commits(self):
            """Give the same commits, counted."""
            return commits(**vars(super().commits))

    return CountingLedger


def counting_stores(verbs):
    """Make the classes of ledger, records and results whose every change is counted."""
    return (
        counting_claims(verbs),
        counting(RecordStore, verbs, "commit"),
        counting(ResultsStore, verbs, "put_file", "put_bytes", "discard"),
    )


def counting_reporter(verbs):
    """Make a reporter whose calls are counted."""

    def counted(context, reports):
        verbs("report")
        report(context, reports)

    return counted


@pytest.fixture(scope="session")
def every_verb():
    """Count what is done to the stores of all tests."""

    def die():
        message = "died"
        raise Crash(message)

    return Verbs(die)


@pytest.fixture(scope="session")
def store_classes(every_verb):
    """Make the classes of the stores once: pydantic takes a while."""
    return counting_stores(every_verb)


@pytest.fixture(scope="session")
def stores(docdb_uri, store_classes):
    """Open ledger and records once for all tests: making collections takes longer than a test."""
    ledger, records, _ = store_classes
    mongo = MongoConnection(uri=docdb_uri, database=f"test_{uuid.uuid4().hex[:16]}")
    return ledger(mongo=mongo, records_name="records"), records(mongo=mongo, name="records")


@pytest.fixture
def make_platform(every_verb, store_classes, stores, results_store, s3, tmp_path):
    """Give a function that makes a platform of an analysis file."""
    ledger, records = stores
    assets = MongoAssetRecords(mongo=records.mongo, name="data_assets")
    results = store_classes[-1](s3=s3, root=results_store.root)
    with dg.DagsterInstance.ephemeral() as instance:

        def make(path, **options):
            entry = path if isinstance(path, AnalysisEntry) else load_analysis(path)
            work = Machine(tmp_path / "work")
            services = Services(results, records, ledger, Inputs(s3=s3), assets, work)
            asset = build_asset(entry, machine=work, reporter=counting_reporter(every_verb), **options)
            return Platform(entry, services, asset, instance)

        yield make


@pytest.fixture
def double(make_platform):
    """Give the platform of an analysis that works."""
    return make_platform(LAB / "double.py")


@pytest.fixture
def misbehave(make_platform):
    """Give the platform of an analysis that misbehaves as its parameters say."""
    return make_platform(LAB / "misbehave.py")


@pytest.fixture
def marks(tmp_path):
    """Give a file in which executions leave a mark, and a function that counts them."""
    path = tmp_path / "marks"
    return str(path), lambda: len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def verbs(every_verb):
    """Count every verb from now on; set ``at`` to die there."""
    every_verb.calls.clear()
    yield every_verb
    every_verb.at = None
