"""How long it takes from a job file to user code, at the settings as they come, and what it is that takes the time."""

import statistics
import time
from itertools import pairwise

import dagster as dg

from benchmarks.busy import outputs_of
from benchmarks.section import Figures, Options, Section, Target
from benchmarks.stage import Stage, bench_home, on_stage, storage
from sensors.job_files.sensor import MIN_INTERVAL_S

STARTS, FILES = 5, 10
_WANTED_S = 15.0
_PARTS = {
    "request": "job file written → run requested: rest of the sensor's interval, the daemon's loop, the tick",
    "launch": "→ run taken from the queue and launched",
    "process": "→ the run's process starts: Python, imports, definitions",
    "code": "→ user code: claims and worker processes",
    "total": "**job file written → user code**",
}


def measure(options: Options) -> Figures:
    """Start batches at different moments of the sensor's interval."""
    starts = options.size(STARTS * options.rounds, least=1)
    found = []
    with bench_home() as home, storage(home, "sqlite") as settings, on_stage(settings, warm=("busy",)) as stage:
        for number in range(starts):
            time.sleep(MIN_INTERVAL_S * number / starts)
            found.append(_start(stage))
    return {"files": FILES, "interval_s": MIN_INTERVAL_S, "starts": found}


def _start(stage: Stage) -> dict[str, float]:
    """Write job files and see when what happened."""
    wanted = stage.done("busy") + FILES
    written = stage.drop("busy", FILES)
    stage.wait("busy", wanted)
    run = next(run for run in stage.runs("busy") if run.create_timestamp.timestamp() > written)
    records = stage.platform.connections.record_store.newest("busy")
    code = min(began for record in records if (began := outputs_of(record)["began"]) > written)
    with dg.DagsterInstance.from_config(str(stage.platform.settings.dagster_home)) as instance:
        launched = getattr(instance.get_run_stats(run.dagster_run.run_id), "launch_time", None) or run.start_time
    moments = [written, run.create_timestamp.timestamp(), launched, run.start_time, code]
    parts = [after - before for before, after in pairwise(moments)]
    return dict(zip(_PARTS, [*parts, code - written], strict=True))


def as_markdown(figures: Figures) -> str:
    """Write the parts as a table."""
    starts = figures["starts"]
    rows = [f"| {label} | {_median(starts, part):.1f} | {_most(starts, part):.1f} |" for part, label in _PARTS.items()]
    facts = {"files": figures["files"], "interval": figures["interval_s"], "starts": len(starts)}
    return _TEXT.format(rows="\n".join(rows), **facts)


_TEXT = """
{files} job files, written at {starts} different moments of the sensor's interval; seconds, Dagster on SQLite, a daemon that runs already.

| part | median | most |
|---|---|---|
{rows}

What bounds it: the sensor looks every {interval} s, the least that Dagster's daemon keeps to; each run is a process of its own, which imports Dagster and the
definitions again.
"""


def targets(figures: Figures) -> list[Target]:
    """Compare the slowest start with the target."""
    most, median = _most(figures["starts"], "total"), _median(figures["starts"], "total")
    found = f"{most:.1f} s at most, {median:.1f} s in the median"
    return [Target("start of a batch: job file to user code", "at most 15 s", found, most <= _WANTED_S)]


def _median(starts: list[dict[str, float]], part: str) -> float:
    """Return the median of a part."""
    return statistics.median(start[part] for start in starts)


def _most(starts: list[dict[str, float]], part: str) -> float:
    """Return the longest of a part."""
    return max(start[part] for start in starts)


SECTION = Section("start", "Start of a batch", measure, as_markdown, targets)
