"""What the platform costs for each job, beside its peers on the same servers, Dagster on SQLite and on PostgreSQL."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.loops import BATCH, bare_loop, dagster_events
from benchmarks.medians import median_ratio, medians
from benchmarks.other_tools import SNAKEMAKE_CORES, snakemake, wrapper_loop
from benchmarks.section import Figures, Options, Section, Target
from benchmarks.stage import ANALYSES, STORAGES, Storage, bench_home, on_stage, postgres_server, storage
from operations.platform import open_platform

JOBS, SINGLE, SNAKEMAKE = 1000, 12, 200
STORAGE_NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
_WRAPPER, _FLOOR, _SINGLE = 1.0, 1.3, 80.0


def measure(options: Options) -> Figures:
    """Measure every way in turn, round by round; milliseconds for each job."""
    sizes = {
        "jobs": options.size(JOBS, least=10),
        "single": options.size(SINGLE, least=2),
        "snakemake": options.size(SNAKEMAKE, least=4),
    }
    rounds: list[dict[str, float]] = []
    with bench_home(keep=("DAGSTER_POSTGRES_URL",)) as home, postgres_server() as server:
        for _ in range(options.rounds):
            rounds.append(_round(home, server, sizes))
            options.keep({"sizes": sizes, "rounds": rounds})
    return {"sizes": sizes, "rounds": rounds}


def _round(home: Path, server: str, sizes: Mapping[str, int]) -> dict[str, float]:
    """Measure every way once."""
    found = {}
    with storage(home, "sqlite") as settings, open_platform(settings, folder=ANALYSES) as platform:
        ways = {
            "bare": (bare_loop(platform, sizes["jobs"]), sizes["jobs"]),
            "threads": (bare_loop(platform, sizes["jobs"], threads=8), sizes["jobs"]),
            "wrapper": (wrapper_loop(platform, sizes["jobs"]), sizes["jobs"]),
            "snakemake": (snakemake(platform, sizes["snakemake"]), sizes["snakemake"]),
        }
        found.update({way: 1000 * seconds / jobs for way, (seconds, jobs) in ways.items()})
    for kind in STORAGES:
        found.update(_on_storage(home, kind, server, sizes))
    return found


def _on_storage(home: Path, kind: Storage, server: str, sizes: Mapping[str, int]) -> dict[str, float]:
    """Measure what depends on Dagster's storage."""
    jobs, single = sizes["jobs"], sizes["single"]
    with storage(home, kind, server) as settings:
        events = dagster_events(settings.dagster_home.parent / "floor", kind, jobs)
    with storage(home, kind, server) as settings, on_stage(settings, warm=("batched", "single")) as stage:
        batched = stage.work_off("batched", jobs)
        runs = stage.runs("batched")[1:]  # without the one that warmed up
        alone = stage.work_off("single", single)
        stage.runs("single")
    return {
        f"{kind} events": 1000 * events / jobs,
        f"{kind} batched": 1000 * batched / jobs,
        f"{kind} in runs": 1000 * sum(run.end_time - run.start_time for run in runs) / jobs,
        f"{kind} runs": len(runs),
        f"{kind} single": 1000 * alone / single,
    }


def as_markdown(figures: Figures) -> str:
    """Write the medians as a table, for both storages side by side."""
    sizes, found = figures["sizes"], medians(figures["rounds"])
    rows = [(label, sizes[size], *(_cells(found, way, kind) for kind in STORAGES)) for way, label, size in _WAYS]
    lines = "\n".join(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)
    runs = ", ".join(f"{found[f'{kind} runs']:.0f} on {STORAGE_NAMES[kind]}" for kind in STORAGES)
    return _TEXT.format(rounds=len(figures["rounds"]), lines=lines, runs=runs, batch=BATCH)


def _cells(found: Mapping[str, float], way: str, kind: str) -> str:
    """Write one way on one storage, and how it compares with batches there."""
    value = sum(found[name.format(kind)] for name in way.split("+"))
    return f"{value:.1f} ({value / found[f'{kind} batched']:.2f}x)"


_WAYS = (
    ("bare", "bare loop, sequential", "jobs"),
    ("threads", "bare loop, 8 threads", "jobs"),
    ("{} events", "Dagster's own events alone", "jobs"),
    ("bare+{} events", "floor: bare loop, sequential, and Dagster's events", "jobs"),
    ("wrapper", "the earlier wrapper's loop", "jobs"),
    ("snakemake", f"Snakemake, {SNAKEMAKE_CORES} cores", "snakemake"),
    ("{} batched", "**platform, in batches**", "jobs"),
    ("{} in runs", "of that, between start and end of runs, summed", "jobs"),
    ("{} single", "platform, one run per partition", "single"),
)

_TEXT = """
Milliseconds for each job, medians of {rounds} rounds; every round measures every way in turn, on the same MongoDB and S3 server. In brackets:
relative to the platform in batches on the same storage.

| way | jobs | SQLite | PostgreSQL |
|---|---|---|---|
{lines}

A job ends with two small files, `metadata.nd.json` and a record; the platform adds a manifest, a claim in the ledger and provenance. The
platform's figure is wall time from the first job file written to the last job done, so it holds the sensor's interval and the start
of the runs' processes ({runs}). *Dagster's own events* are a planned event and a materialization for each job, in runs of {batch} in one
process, over Dagster's own storage as it comes. *The earlier wrapper's loop* is reimplemented from its description (`benchmarks/peers/wrapper_loop.py`):
one query, one upload by s3fs, one insert for each job; it keeps no events, claims or manifests. *Snakemake* starts a Python process for
each job, as its `shell` and `script` rules do.
"""


def targets(figures: Figures) -> list[Target]:
    """Compare batches with the wrapper, the floor and runs of one partition; medians of each round's ratio."""
    return [target for kind in STORAGES for target in _targets(figures["rounds"], kind)]


def _targets(rounds: list[dict[str, Any]], kind: str) -> list[Target]:
    """Compare on one storage."""
    name, batched = STORAGE_NAMES[kind], f"{kind} batched"
    wrapper = median_ratio(rounds, [batched], ["wrapper"])
    floor = median_ratio(rounds, [batched], ["bare", f"{kind} events"])
    single = median_ratio(rounds, [f"{kind} single"], [batched])
    per_job = f"{medians(rounds)[batched]:.1f} ms"
    what = f"a job in batches, {name}"
    return [
        Target(f"{what}: to the wrapper's loop", "at most 1x", f"{wrapper:.2f}x ({per_job})", wrapper <= _WRAPPER),
        Target(f"{what}: to bare loop and events", "at most 1.3x", f"{floor:.2f}x", floor <= _FLOOR),
        Target(f"{what}: one run per partition to it", "at least 80x", f"{single:.0f}x", single >= _SINGLE),
    ]


SECTION = Section("overhead", "Overhead per job", measure, as_markdown, targets)
