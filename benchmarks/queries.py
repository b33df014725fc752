"""The first page of `analysis results`, over 100,000 records of one analysis: median and the slowest of twenty."""

import copy
import hashlib
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.section import Figures, Options, Section, Target
from domain.result.filter import Condition
from domain.result.provenance import CodeFacts, Provenance, ResourceFacts
from domain.result.records import search_fields, to_record
from resources.embedded.embedded import serving
from resources.mongo import MongoConnection
from resources.records.reader import OWN
from resources.records.search import find_records
from resources.records.store import RecordStore
from results.summaries import results_among, results_of

_RECORDS, _PAGE, _ASKED, _WANTED_MS = 100_000, 50, 20, 200.0
_AT_ONCE = 2000
_CODE = "1.0.0+0123456789ab"
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def _provenance(number: int, chance: random.Random) -> Provenance:
    """Make one of many results: 500 subjects of 20 sessions each, values by chance."""
    key = hashlib.sha256(str(number).encode()).hexdigest()
    started = _FIRST + timedelta(seconds=10 * number)
    return Provenance(
        analysis="demo",
        job_key=key,
        code_version=_CODE if number % 10 else "0.9.0+ba9876543210",
        result_id=key,
        attempt=str(uuid.UUID(int=number)),
        location=f"s3://bucket/{key}/{uuid.UUID(int=number)}",
        code=CodeFacts(url="https://host/repo", run_script="analysis_assets/demo.py", language_version="3.11.7"),
        locations=(f"s3://bucket/session_{number // 10}",),
        parameters={"alpha": chance.randrange(100) / 100, "method": chance.choice("ab"), "bin_s": 0.05, "seed": number},
        outputs={"accuracy": chance.random(), "n_units": chance.randrange(500), "median_isi_s": chance.random()},
        started=started,
        ended=started + timedelta(seconds=9),
        resources=ResourceFacts(os="Linux", architecture="x86_64"),
        subject_ids=(f"subject {number % 500}",),
        session_names=(f"session {number // 10}",),
        owners=("team:bench",),
        manifest_sha256=key,
        listing_sha256=key,
        file_count=3,
        file_bytes=30_000,
    )


def _records(count: int) -> Iterator[dict[str, Any]]:
    """Make records; the schema's classes are asked once, because they take a millisecond for each."""
    chance = random.Random(1)  # noqa: S311  the same numbers each time
    pattern = to_record(_provenance(0, chance))
    for number in range(count):
        found = _provenance(number, chance)
        record = copy.deepcopy(pattern)
        (process,) = record["processing"]["data_processes"]
        process["code"]["parameters"], process["output_parameters"] = found.parameters, found.outputs
        process["start_date_time"], process["end_date_time"] = found.started.isoformat(), found.ended.isoformat()
        own = found.model_dump(mode="json", include=set(record[OWN]))
        record[OWN] |= own | search_fields(found)
        yield record | {"_id": found.result_id, "name": found.result_id, "location": found.location}


def questions(count: int) -> dict[str, list[Condition]]:
    """Return the queries by name; the last one is the worst case."""
    accuracy = "outputs.accuracy"
    rare = Condition(accuracy, ">", 0.999)
    return {
        "no condition": [],
        "a parameter, 1% have it": [Condition("parameters.alpha", "=", 0.5)],
        "a parameter, half have it": [Condition("parameters.method", "=", "a")],
        "a range, 0.1%": [rare],
        "a range, 10%": [Condition(accuracy, ">", 0.9)],
        "both ends of a range, 1%": [Condition(accuracy, ">", 0.4), Condition(accuracy, "<", 0.41)],
        "a subject": [Condition("subject", "=", "subject 7")],
        "a session": [Condition("session", "=", "session 77")],
        "a code version": [Condition("code", "=", "0.9.0")],
        "two parameters": [Condition("parameters.method", "=", "a"), Condition("parameters.alpha", "=", 0.5)],
        "a parameter and a range": [Condition("parameters.method", "=", "a"), rare],
        "nothing has it": [Condition(accuracy, ">", 2)],
        "a range, the older half": [Condition("parameters.seed", "<", count // 2)],
    }


_WORST = "a range, the older half"


def measure(options: Options) -> Figures:
    """Fill a new database on the embedded server, and query it."""
    count = options.size(_RECORDS, least=1000)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as addresses:
        store = RecordStore(mongo=MongoConnection(uri=addresses.docdb_uri, database="bench"), name="results")
        made = _records(count)
        while some := list(islice(made, _AT_ONCE)):
            store._records.raw.insert_many(some, ordered=False)  # noqa: SLF001  as fast as it gets: this is not measured
        requested = {
            name: _timed(lambda wanted=wanted: _page(store, wanted), options.rounds * _ASKED // 3)  # type: ignore[misc]
            for name, wanted in questions(count).items()
        }
        whole = _timed(lambda: len(results_of(store, "demo", code_version=_CODE)), 1)
        size = store.mongo.collection("results").raw.database.command("collstats", "results")
    indexes = {name: kept / count for name, kept in size["indexSizes"].items()}
    return {"records": count, "asked": requested, "whole": whole, "bytes": size["avgObjSize"], "index_bytes": indexes}


def _page(store: RecordStore, wanted: list[Condition]) -> int:
    """Read a first page, as the command does; return its number of results."""
    return len(results_among(find_records(store, "demo", wanted, limit=_PAGE), code_version=_CODE))


def _timed(work: Callable[[], int], times: int) -> Figures:
    """Do the same several times: the first time, the median and the 95th percentile (ms)."""
    took = []
    for _ in range(max(1, times)):
        begin = time.perf_counter()
        found = work()
        took.append(1000 * (time.perf_counter() - begin))
    late = sorted(took)[min(len(took) - 1, int(0.95 * len(took)))]
    return {"found": found, "first_ms": took[0], "median_ms": statistics.median(took), "p95_ms": late}


def as_markdown(figures: Figures) -> str:
    """Write the figures as a table."""
    intro = (
        f"{figures['records']:,} records of {figures['bytes']:,.0f} bytes; pages of {_PAGE}, newest first. All of them at "
        f"once take {figures['whole']['median_ms'] / 1000:.0f} s. The index that serves the conditions takes "
        f"{max(figures['index_bytes'].values()):,.0f} bytes for each record."
    )
    lines = [intro, "", "| query | found | first (ms) | median (ms) | 95% within (ms) |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {one['found']} | {one['first_ms']:.0f} | {one['median_ms']:.1f} | {one['p95_ms']:.1f} |"
        for name, one in figures["asked"].items()
    ]
    lines += ["", f"The worst is *{_WORST}*: the page begins with the newest, and none of the newer half is in it."]
    return "\n".join(lines)


def targets(figures: Figures) -> list[Target]:
    """Compare the figures with the targets: all queries but the worst, and that one separately."""
    requested = figures["asked"]
    slowest = max((name for name in requested if name != _WORST), key=lambda name: requested[name]["p95_ms"])
    return [
        Target(
            what=f"first page over {figures['records']:,} records, {name}",
            wanted=f"under {_WANTED_MS:.0f} ms (95% of times)",
            found=f"{requested[name]['p95_ms']:.0f} ms",
            met=requested[name]["p95_ms"] < _WANTED_MS,
        )
        for name in (slowest, _WORST)
    ]


SECTION = Section("queries", "Finding results", measure, as_markdown, targets)
