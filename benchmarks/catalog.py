"""The catalog of 100,000 results: built for the first time, brought up to date, and its report; time and peak memory."""

import io
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from benchmarks.queries import _CODE, _records
from benchmarks.section import Figures, Options, Section, Target
from domain.analysis import Analysis, OutputsModel, ParametersModel
from domain.job.identity import JobInputs
from domain.job.job_file import Job
from engine.discovery.analyses import AnalysisEntry
from resources.embedded.embedded import serving
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from resources.records.store import RecordStore
from resources.result_store.catalog_files import REPORT, CatalogFiles
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection

_RECORDS, _NEW, _FAILED, _AT_ONCE = 100_000, 100, 1_000, 2000
_WANTED_FIRST_S, _WANTED_UPDATE_S, _WANTED_MB = 120.0, 15.0, 1500.0
_NAMES = {"first": "built for the first time", "update": f"brought up to date, {_NEW} new", "report": "its report"}


class Parameters(ParametersModel):
    """Those of the results that `benchmarks.queries` makes."""

    alpha: float = Field(description="A number (no unit).")
    method: Literal["a", "b"] = Field(description="A choice.")
    bin_s: float = Field(description="A width (s).")
    seed: int = Field(description="A number that distinguishes jobs (no unit).")


class Outputs(OutputsModel):
    """Likewise."""

    accuracy: float = Field(description="A fraction (fraction).")
    n_units: int = Field(description="A number (count).")
    median_isi_s: float = Field(description="A time (s).")


def _entry() -> AnalysisEntry:
    """Describe the analysis whose results these are."""
    form = {"parameters": Parameters, "outputs": Outputs, "run": _run}
    return AnalysisEntry(Analysis(name="demo", version="1", owners=("team:bench",), **form), Path(), _CODE, "")


def _run(job: Any, parameters: Any, results_dir: Path) -> Any:
    """Do nothing: it is never executed."""


def measure(options: Options) -> Figures:
    """Fill a new database on the embedded servers; each step is a separate process, as a run is."""
    count = options.size(_RECORDS, least=1000)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as addresses:
        S3Connection(embedded_home=folder).ensure_bucket("results")
        made, collection = _records(count + _NEW * options.rounds), _stores(addresses.docdb_uri, folder)[0]._records.raw  # noqa: SLF001
        for _ in range(0, count, _AT_ONCE):
            if some := list(islice(made, min(_AT_ONCE, count))):
                collection.insert_many(some, ordered=False)
        _fail(addresses.docdb_uri, folder, options.size(_FAILED))
        found: dict[str, list[Figures]] = {"first": [_apart(_catalog, addresses.docdb_uri, folder)]}
        for _ in range(options.rounds):
            collection.insert_many(list(islice(made, _NEW)))
            found.setdefault("update", []).append(_apart(_catalog, addresses.docdb_uri, folder))
            found.setdefault("report", []).append(_apart(_report, addresses.docdb_uri, folder))
    return {"records": count, "failed": options.size(_FAILED), "steps": found}


def _stores(uri: str, folder: str) -> tuple[RecordStore, Ledger, ResultsStore, CatalogFiles]:
    """Open what a catalog is made from, and where it goes."""
    mongo, s3 = MongoConnection(uri=uri, database="bench"), S3Connection(embedded_home=folder)
    return (
        RecordStore(mongo=mongo, name="results"),
        Ledger(mongo=mongo, records_name="results"),
        ResultsStore(s3=s3, root="results"),
        CatalogFiles(s3=s3, root="results"),
    )


def _fail(uri: str, folder: str, count: int) -> None:
    """Store jobs that failed."""
    ledger, now = _stores(uri, folder)[1], datetime.now(UTC)
    error = {"kind": "exception", "message": "no spikes", "permanent": True, "traceback": "x" * 4000}
    documents = [
        {
            "_id": f"demo/{number:064x}",
            "analysis": "demo",
            "job_key": f"{number:064x}",
            "inputs": JobInputs.of(Job(s3_location=(f"s3://bucket/failed_{number}",))).model_dump(),
            "parameters": {"alpha": 0.5, "method": "a", "bin_s": 0.05, "seed": number},
            "state": "failed",
            "error": error,
            "updated": now,
        }
        for number in range(count)
    ]
    ledger._jobs.raw.insert_many(documents)  # noqa: SLF001  as fast as it gets: this is not measured


def _apart(work: Callable[[str, str], int], uri: str, folder: str) -> Figures:
    """Do work in a fresh process; returns its time (s), its peak memory (MB) and the size of what it wrote (MB)."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, uri, folder))


def _measured(work: Callable[[str, str], int], uri: str, folder: str) -> Figures:
    """Measure work in this process."""
    begin = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        size = work(uri, folder)
    seconds = time.perf_counter() - begin
    return {"s": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "file_mb": size / 1e6}


def _catalog(uri: str, folder: str) -> int:
    """Do what the asset does; returns the size of the file (bytes)."""
    from resources.result_store.catalog_tables import read_catalog, write_catalog  # noqa: PLC0415
    from results_table.update import update_table  # noqa: PLC0415  as the asset does: importing is part of the time

    records, ledger, results, files = _stores(uri, folder)
    stored = read_catalog(files, "demo")
    table = None if stored is None else stored.table
    update = update_table(_entry(), table, records=records, ledger=ledger, results=results)
    write_catalog(files, "demo", update.table)
    found = files.get("demo")
    return len(found.content) if found else 0


def _report(uri: str, folder: str) -> int:
    """Do what the asset of the report does; returns the size of the page (bytes)."""
    from resources.result_store.catalog_tables import read_catalog  # noqa: PLC0415
    from results_table.report import make_report  # noqa: PLC0415

    files = _stores(uri, folder)[3]
    stored = read_catalog(files, "demo")
    if stored is None:
        return 0
    page = make_report(_entry(), stored.table, ui_url="http://127.0.0.1:3000").html.encode()
    files.put("demo", REPORT, page, content_type="text/html; charset=utf-8")
    return len(page)


def as_markdown(figures: Figures) -> str:
    """Write the figures as a table."""
    intro = (
        f"{figures['records']:,} records and {figures['failed']:,} failed jobs, on the embedded servers. Each step is a process of "
        "its own; its imports are part of the time. Medians; the first build is measured once."
    )
    lines = [intro, "", "| step | time (s) | peak memory (MB) | file (MB) |", "|---|---|---|---|"]
    for name, rounds in figures["steps"].items():
        middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        lines.append(f"| {_NAMES[name]} | {middle['s']:.1f} | {middle['mb']:.0f} | {middle['file_mb']:.1f} |")
    return "\n".join(lines)


def targets(figures: Figures) -> list[Target]:
    """Compare the figures with the targets."""
    steps, count = figures["steps"], f"{figures['records']:,}"
    middle = {name: statistics.median(one["s"] for one in rounds) for name, rounds in steps.items()}
    most = max(one["mb"] for rounds in steps.values() for one in rounds)
    wanted = {"first": _WANTED_FIRST_S, "update": _WANTED_UPDATE_S}
    times = [
        Target(
            f"catalog of {count} results, {_NAMES[name]}", f"under {s:.0f} s", f"{middle[name]:.1f} s", middle[name] < s
        )
        for name, s in wanted.items()
    ]
    memory = Target("its peak memory", f"under {_WANTED_MB:,.0f} MB", f"{most:,.0f} MB", most < _WANTED_MB)
    return [*times, memory]


SECTION = Section("catalog", "The catalog", measure, as_markdown, targets)
