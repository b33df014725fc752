"""One analysis with its own stores, and results, failures and odd records made by hand."""

import hashlib
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from domain.failures import JobError
from domain.job.identity import result_id
from domain.job.job_file import Job
from domain.job.state import JobState
from domain.job.stored import Source, ingest
from domain.result.records import to_record
from engine.discovery.analyses import load_analysis
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from resources.records.reader import OWN, attempt_of
from resources.records.store import RecordStore
from resources.result_store.catalog_files import CatalogFiles
from resources.result_store.catalog_tables import read_catalog, write_catalog
from results_table.update import update_table
from tests.provenances import STARTED, sparse
from tests.raw import jobs_of, records_of

RICH = Path(__file__).parent / "analyses" / "rich.py"
NOW = "current"


class LateLedger(Ledger):
    """A ledger by whose clock it is later than it is."""

    late_s: float = 0.0

    def now(self):
        """Return the time by that clock."""
        return super().now() + timedelta(seconds=self.late_s)

    def later(self, seconds):
        """Give the same ledger when some time has passed."""
        return LateLedger(mongo=self.mongo, records_name=self.records_name, late_s=self.late_s + seconds)


class TableHarness:
    """One analysis, and functions that change its results."""

    def __init__(self, entry, mongo, results):
        self.entry, self.results = entry, results
        self.name = entry.analysis.name
        self.records = RecordStore(mongo=mongo, name="results")
        self.ledger = LateLedger(mongo=mongo, records_name="results")
        self.files = CatalogFiles(s3=results.s3, root=results.root)

    def wait(self, seconds):
        """Let time pass, as the ledger sees it."""
        self.ledger = self.ledger.later(seconds)

    def publish(self, number, *, code=NOW, parameters=None, outputs=None, replace=False, **facts):
        """Store a result; gives its record."""
        key = hashlib.sha256(str(number).encode()).hexdigest()
        version = self.entry.code_version if code == NOW else code
        result, attempt = result_id(self.name, version, key), str(uuid.uuid4())
        ended = STARTED + timedelta(minutes=number)
        found = {
            "analysis": self.name,
            "job_key": key,
            "code_version": version,
            "result_id": result,
            "attempt": attempt,
            "location": self.results.location(result, attempt),
            "parameters": {"method": "a", "bin_s": 0.5} if parameters is None else parameters,
            "outputs": {"outcome": "good", "rate_hz": float(number), "count": number} if outputs is None else outputs,
            "started": ended - timedelta(seconds=2),
            "ended": ended,
        }
        record = to_record(sparse(**(found | facts)))
        old = self.records.get(result)
        if old is not None and replace:
            self.records.commit(record, replaces=[attempt_of(old)], who="test", reason="test")
        elif old is None:
            self.records.commit(record)
        return record

    def invalidate(self, number):
        """Take the current result of a job back, if there is one."""
        key = hashlib.sha256(str(number).encode()).hexdigest()
        old = self.records.get(result_id(self.name, self.entry.code_version, key))
        if old is not None:
            self.records.invalidate(old, who="test", reason="test")

    def damage(self, record, **fields):
        """Change a record behind everybody's back."""
        records_of(self.records).update_one({"_id": record["_id"]}, {"$set": fields})

    def fail(self, number, message="no luck", kind="exception"):
        """Let a job fail; gives its key."""
        job = Job(s3_location=(f"s3://bucket/{number}",))
        stored, _ = ingest(self.entry.analysis, job, name="test", fixed={})
        self.ledger.requests.store([(stored, Source(name="test"))], code_version=self.entry.code_version)
        error = JobError(kind=kind, message=message, permanent=True, traceback="x" * 1000)
        found = self.ledger.jobs.get(self.name, stored.job_key)
        reported = {"code_version": self.entry.code_version, "error": error.model_dump()}
        self.ledger.claims.mark_unclaimed(found, state=JobState.FAILED, **reported)
        return stored.job_key

    def recover(self, number):
        """Let a job succeed that failed, as far as the ledger knows."""
        job = Job(s3_location=(f"s3://bucket/{number}",))
        stored, _ = ingest(self.entry.analysis, job, name="test", fixed={})
        found = self.ledger.jobs.get(self.name, stored.job_key)
        if found is not None:
            self.ledger.claims.mark_unclaimed(
                found, state=JobState.DONE, error=None, code_version=self.entry.code_version
            )

    def make(self, stored=None):
        """Bring a catalog up to date; gives the update."""
        return update_table(self.entry, stored, records=self.records, ledger=self.ledger, results=self.results)

    def update(self):
        """Bring the stored catalog up to date; gives the update."""
        stored = read_catalog(self.files, self.name)
        update = self.make(stored.table if stored else None)
        write_catalog(self.files, self.name, update.table)
        return update

    def rows(self):
        """Return the stored rows by job key."""
        return {row["job_key"]: row for row in read_catalog(self.files, self.name).table.to_pylist()}

    def clear(self):
        """Remove every record and job."""
        records_of(self.records).delete_many({f"{OWN}.analysis": self.name})
        jobs_of(self.ledger).delete_many({"analysis": self.name})


@pytest.fixture
def harness(docdb_uri, database, results_store):
    """Give the stores of an analysis that has outputs of every type."""
    return TableHarness(load_analysis(RICH), MongoConnection(uri=docdb_uri, database=database), results_store)
