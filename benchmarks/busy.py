"""How much of both cores is busy with user code, when each job computes for a fifth of a second on one core."""

import os
from collections.abc import Iterable
from typing import Any

from benchmarks.medians import medians
from benchmarks.section import Figures, Options, Section, Target
from benchmarks.stage import STORAGES, Stage, bench_home, on_stage, postgres_server, storage

JOBS = 1000
_WANTED = 0.9
_NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


def measure(options: Options) -> Figures:
    """Process jobs on both storages, round by round."""
    jobs, rounds = options.size(JOBS, least=4), []
    with bench_home(keep=("DAGSTER_POSTGRES_URL",)) as home, postgres_server() as server:
        for _ in range(options.rounds):
            found: dict[str, float] = {}
            for kind in STORAGES:
                with storage(home, kind, server) as settings, on_stage(settings, warm=("busy",)) as stage:
                    found.update({f"{kind} {name}": value for name, value in _shares(stage, jobs).items()})
            rounds.append(found)
            options.keep({"jobs": jobs, "cores": _cores(), "rounds": rounds})
    return {"jobs": jobs, "cores": _cores(), "rounds": rounds}


def _shares(stage: Stage, jobs: int) -> dict[str, float]:
    """Process jobs; return the share of all cores' time that user code had."""
    before = {record["_id"] for record in stage.platform.connections.record_store.newest("busy")}
    wall = stage.work_off("busy", jobs)
    records = stage.platform.connections.record_store.newest("busy")
    outputs = [outputs_of(record) for record in records if record["_id"] not in before]
    return {"share": share(outputs, _cores()), "wall_share": sum(o["cpu_s"] for o in outputs) / (_cores() * wall)}


def share(outputs: Iterable[dict[str, float]], cores: int) -> float:
    """Return the share of the cores' time, from the first to the last moment of user code, that user code had."""
    found = list(outputs)
    span = max(o["ended"] for o in found) - min(o["began"] for o in found)
    return sum(o["cpu_s"] for o in found) / (cores * span)


def outputs_of(record: dict[str, Any]) -> dict[str, float]:
    """Return what the analysis said of itself."""
    outputs: dict[str, float] = record["processing"]["data_processes"][0]["output_parameters"]
    return outputs


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def as_markdown(figures: Figures) -> str:
    """Write the shares as a table."""
    found = medians(figures["rounds"])
    rows = [f"| {_NAMES[k]} | {found[f'{k} share']:.0%} | {found[f'{k} wall_share']:.0%} |" for k in STORAGES]
    facts = {"jobs": figures["jobs"], "cores": figures["cores"], "rounds": len(figures["rounds"])}
    return _TEXT.format(rows="\n".join(rows), **facts)


_TEXT = """
{jobs} jobs that compute 0.2 s each, {cores} cores, medians of {rounds} rounds. The share is the time that user code had a core, over the time
of all cores: from the first to the last moment of user code; and from the first job file written to the last job done, which holds the
start of the batch (see the section on it).

| Dagster on | busy with user code | the start included |
|---|---|---|
{rows}
"""


def targets(figures: Figures) -> list[Target]:
    """Compare the shares with the targets."""
    found = medians(figures["rounds"])
    return [
        Target(
            f"jobs of 0.2 s: cores busy with user code, {_NAMES[kind]}",
            "at least 90%",
            f"{found[f'{kind} share']:.0%}",
            found[f"{kind} share"] >= _WANTED,
        )
        for kind in STORAGES
    ]


SECTION = Section("busy", "Cores busy with user code", measure, as_markdown, targets)
