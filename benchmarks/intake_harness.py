"""One analysis, its stores and a Dagster, for measuring ticks; each part is measured in a process of its own."""

import json
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import dagster as dg

from domain.job.state import JobState
from engine.discovery.analyses import AnalysisEntry, load_analysis
from resources.embedded.embedded import serving
from resources.inbox.job_inbox import InboxFile, JobInbox
from resources.inbox.notes import FileNote, InboxNotes
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from sensors.job_files.sensor import tick
from sensors.job_files.stores import Stores

BUCKET = "bench-intake"
_ANALYSIS = Path(__file__).parent / "analyses" / "batched.py"


@dataclass
class IntakeHarness:
    """The stores and the Dagster instance of the measured ticks.

    Attributes
    ----------
    entry : AnalysisEntry
        Analysis whose sensor is evaluated.
    stores : Stores
        Its stores, which nothing else uses.
    instance : dagster.DagsterInstance
        A Dagster with its storage on disk; runs are never launched.
    cursor : str or None
        Cursor of the sensor.
    """

    entry: AnalysisEntry
    stores: Stores
    instance: dg.DagsterInstance
    cursor: str | None = field(default=None)

    @property
    def name(self) -> str:
        """The analysis's name."""
        return self.entry.analysis.name

    def tick(self, *, listing_s: float = 0.0) -> float:
        """Evaluate the sensor once; returns how long that took (s)."""
        begin = time.perf_counter()
        found = tick(self.instance, self.cursor, self.entry, self.stores, listing_s=listing_s)
        if isinstance(found, dg.SensorResult):
            self.cursor = found.cursor
        return time.perf_counter() - begin

    def write(self, first: int, count: int, *, prefix: str = "") -> None:
        """Put job files into the inbox."""
        for number in range(first, first + count):
            self.stores.inbox.write(self.name, f"{prefix}{number:06}.json", job_file(number))

    def note(self, files: Sequence[InboxFile]) -> None:
        """Note files as ingested, and add a partition for each: a tick checks whether it knows the file."""
        for begin in range(0, len(files), 5_000):
            some = files[begin : begin + 5_000]
            self.stores.notes.save(self.name, [FileNote(f.name, f.fingerprint, None, "", "0" * 64) for f in some])
            self.instance.add_dynamic_partitions(self.name, [sha256(f.name.encode()).hexdigest() for f in some])

    def end_all(self) -> None:
        """Mark every job as done."""
        jobs = self.stores.ledger.mongo.collection(f"{self.stores.ledger.records_name}_jobs")
        jobs.update_many({}, {"$set": {"state": JobState.DONE.value, "code_version": self.entry.code_version}})


@contextmanager
def intake_harness(home: Path, *, inbox: str, s3_address: str | None = None) -> Iterator[IntakeHarness]:
    """Make a harness over the embedded servers of a folder.

    Parameters
    ----------
    home : Path
        Folder of the embedded servers.
    inbox : str
        ``JOB_INBOX``; also names the database.
    s3_address : str, optional
        Another S3 server for the inbox than the embedded one.
    """
    with (
        serving(home) as addresses,
        tempfile.TemporaryDirectory(prefix="bench-dagster-") as storage,
        dg.DagsterInstance.local_temp(storage) as instance,
    ):
        s3 = S3Connection(embedded_home=str(home))
        s3.ensure_bucket(BUCKET)
        mongo = MongoConnection(uri=addresses.docdb_uri, database=f"bench_{Path(inbox).name}")
        stores = Stores(
            inbox=JobInbox(s3=S3Connection(endpoint_url=s3_address) if s3_address else s3, root=inbox),
            notes=InboxNotes(mongo=mongo, records_name="results"),
            ledger=Ledger(mongo=mongo, records_name="results"),
            records=RecordStore(mongo=mongo, name="results"),
            results=ResultsStore(s3=s3, root=f"{BUCKET}/results"),
        )
        stores.inbox.ensure()
        yield IntakeHarness(load_analysis(_ANALYSIS), stores, instance)


def job_file(number: int) -> bytes:
    """Write a job file as a dispatcher does."""
    content = {"s3_location": [f"s3://bench/{number}"], "distributed_parameters": {"number": number}}
    return json.dumps(content).encode()


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
