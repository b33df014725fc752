"""Results for tests of the explorer: a catalog in S3, and records and files of some of its results."""

import hashlib
import io
import json
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
from PIL import Image, ImageDraw
from pydantic import BaseModel, Field

from domain.result.provenance import ResourceFacts
from domain.result.records import to_record
from domain.result.rows import DONE, FACTS, result_row
from explorer.context import ExplorerContext
from explorer.data.analysis_data import Tables
from resources.mongo import MongoConnection
from resources.records.reader import RecordReader
from resources.records.store import RecordStore
from resources.result_store.catalog_files import CatalogFiles
from resources.result_store.catalog_tables import write_catalog
from tests.provenances import sparse

NAME = "quality"
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class Parameters(BaseModel):
    """Parameters of the analysis for tests."""

    bin_s: float = Field(description="Width of a bin (s).")
    method: str = Field(description="How it is computed.")


class Outputs(BaseModel):
    """Outputs of the analysis for tests."""

    rate_hz: float = Field(description="Mean firing rate (Hz).")
    n_units: int = Field(description="Number of units (no unit).")


ENTRY = SimpleNamespace(
    analysis=SimpleNamespace(parameters=Parameters, outputs=Outputs), code_version="1.0+0123456789ab"
)


def result_id(number):
    """Return the id of a synthetic result."""
    return hashlib.sha256(f"result {number}".encode()).hexdigest()


def provenance(number, *, root="bucket", **changes):
    """Make one of many results: 5 subjects, 2 methods, a rate that grows."""
    name, attempt = result_id(number), str(uuid.UUID(int=number))
    started = FIRST + timedelta(hours=number)
    fields = {
        "analysis": NAME,
        "job_key": hashlib.sha256(f"job {number}".encode()).hexdigest(),
        "code_version": ENTRY.code_version,
        "result_id": name,
        "attempt": attempt,
        "location": f"s3://{root}/{name}/{attempt}",
        "locations": (f"s3://data/session_{number}",),
        "parameters": {
            "bin_s": 0.05 * (1 + number % 3),
            "method": "ab"[number % 2],
            "analysis_tag": f"tag{number % 4}",
        },
        "outputs": {"rate_hz": 1.0 + number / 10, "n_units": number % 17},
        "started": started,
        "ended": started + timedelta(seconds=10 + number),
        "subject_ids": (f"subject{number % 5}",),
        "session_names": (f"session {number}",),
        "resources": ResourceFacts(os="Linux", architecture="x86_64", peak_memory_bytes=10**8 + number),
        "run_id": f"run-{number}",
        "figure": "figure.png",
    }
    return sparse(**(fields | changes))


def picture(text):
    """Draw a figure."""
    image = Image.new("RGB", (480, 320), "white")
    draw = ImageDraw.Draw(image)
    draw.line([(30, 290), (450, 40)], fill="#2f6fb0", width=4)
    draw.text((40, 30), text, fill="black", font_size=28)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def publish(store, records, found, files=()):
    """Store a result as the platform does: files, manifest, metadata, record."""
    content = {"figure.png": picture(found.session_names[0]), "numbers.csv": b"a,b\n1,2\n", **dict(files)}
    for path, data in content.items():
        store.put_bytes(found.location, path, data)
    listed = [{"path": path, "bytes": len(data), "sha256": ""} for path, data in content.items()]
    store.put_bytes(found.location, "manifest.json", json.dumps({"files": listed, "logs": []}).encode())
    record = to_record(found)
    store.put_bytes(found.location, "metadata.nd.json", json.dumps(record).encode())
    records.commit(record)


def catalog_of(found):
    """Return results as a catalog's table."""
    return pa.Table.from_pylist([result_row(one, state=DONE) for one in found])


def many(count):
    """Return a catalog of many results, quickly made."""
    chance = np.random.default_rng(1)
    digits = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(count)]
    n = np.arange(count)
    started = np.datetime64("2026-01-01", "ms") + (n * 10_000).astype("timedelta64[ms]")
    columns = dict.fromkeys(FACTS) | {
        "result_id": digits,
        "job_key": digits,
        "state": np.where(n % 10, "done", "outdated"),
        "subject": [f"subject {i % 500}" for i in range(count)],
        "session": [f"session {i // 10}" for i in range(count)],
        "inputs": [[f"s3://bucket/session_{i // 10}"] for i in range(count)],
        "tag": [f"tag {i % 7}" for i in range(count)],
        "started": started,
        "ended": started + np.timedelta64(9000, "ms"),
        "duration_s": chance.gamma(2, 5, count),
        "peak_memory_bytes": chance.integers(10**8, 10**9, count),
        "parameters.bin_s": chance.choice([0.05, 0.1, 0.2], count),
        "parameters.method": chance.choice(["hill", "llobet"], count),
        "outputs.rate_hz": chance.lognormal(1, 0.7, count),
        "outputs.n_units": chance.integers(0, 500, count),
    }
    return pl.DataFrame(columns, strict=False).to_arrow()


def make_harness(*, s3, root, uri, database, entries=None, store=None, clock=None):  # noqa: PLR0913  each one matters to some test
    """Make what the explorer reads, over the servers of the tests."""
    connection = MongoConnection(uri=uri, database=database)
    records = RecordReader(mongo=connection, name="results")
    catalogs = CatalogFiles(s3=s3, root=root)
    kept = {} if clock is None else {"clock": clock}
    tables = Tables(catalogs, records, {NAME: ENTRY} if entries is None else entries, **kept)
    return ExplorerContext(tables, records, store, "http://127.0.0.1:3000")


def record_store(uri, database):
    """Open the collection of records, to write into it."""
    return RecordStore(mongo=MongoConnection(uri=uri, database=database), name="results")


def write(world_s3, root, table, name=NAME):
    """Write a catalog."""
    write_catalog(CatalogFiles(s3=world_s3, root=root), name, table)
