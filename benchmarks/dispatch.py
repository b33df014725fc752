"""What it costs to plan a large dispatch: time, and memory beside what the process needs to start.

``make bench`` runs it as a part of ``benchmarks.overhead``; the figure goes into ``benchmarks/RESULTS.md``.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from commands.platform import Platform, open_platform
from dispatch.planning import Planning
from dispatch.services import DispatchServices
from domain.dispatch_options import read_options
from domain.dispatch_plan import PlannedJob, job_document
from domain.job import read_job
from domain.job_state import JobState
from domain.json_values import canonical_json
from domain.stored_job import take_in
from resources.settings import child_environment, load_settings

ANALYSIS = "unit_quality"
SETS = '{"method": ["hill", "llobet", "violation_fraction"]}'
_FILLING = "x" * 4000
_STORED_AT_ONCE = 1000


@dataclass(frozen=True)
class PlanCost:
    """What planning cost.

    Attributes
    ----------
    records, jobs, known : int
        Records found, jobs to write, and jobs that were done already.
    seconds : float
        From the options to the plan.
    start_mb, peak_mb : float
        Largest resident memory before and after.
    """

    records: int
    jobs: int
    known: int
    seconds: float
    start_mb: float
    peak_mb: float


def measure_plan(home: str, *, records: int) -> PlanCost:
    """Measure in a process of its own, so that nothing else counts.

    Parameters
    ----------
    home : str
        Folder of the embedded servers that run.
    records : int
        How many records of assets to plan for.
    """
    command = [sys.executable, "-m", "benchmarks.dispatch", str(records)]
    environment = child_environment(ANALYSIS_HOME=home, DOCDB_DATABASE="bench_dispatch")
    for step in ("fill", "plan"):
        done = subprocess.run([*command, step], env=environment, capture_output=True, text=True, check=True)
    return PlanCost(**json.loads(done.stdout))


def main(records: int, step: str) -> None:
    """Fill the database, or plan and print what that cost."""
    with open_platform(load_settings()) as platform:
        if step == "fill":
            _fill(platform, records)
        else:
            sys.stdout.write(json.dumps(asdict(_plan(platform))))


def _fill(platform: Platform, records: int) -> None:
    """Store records of assets, and half of their jobs as done."""
    assets = platform.connections.ledger.mongo.collection("data_assets")
    assets.drop()
    documents = (_record(number) for number in range(records))
    while some := list(islice(documents, _STORED_AT_ONCE)):
        assets.insert_many(some)
    entry, ledger = platform.entry(ANALYSIS), platform.connections.ledger
    jobs = iter(_planned(platform)[::2])
    while batch := list(islice(jobs, _STORED_AT_ONCE)):
        ledger.store([_taken_in(platform, job) for job in batch], code_version=entry.code_version)
    done = {"state": JobState.DONE.value, "code_version": entry.code_version}
    ledger.mongo.collection(f"{ledger.records_name}_jobs").update_many({}, {"$set": done})


def _plan(platform: Platform) -> PlanCost:
    """Plan once."""
    start_mb, begin = _peak_mb(), time.perf_counter()
    plan = _planning(platform).plan()
    seconds = time.perf_counter() - begin
    return PlanCost(plan.records, len(plan.jobs), len(plan.skips), seconds, start_mb, _peak_mb())


def _planning(platform: Platform) -> Planning:
    """Ask for every record, three times; inputs are not looked for, because there are none."""
    options = read_options({"query": "{}", "sweep": SETS, "check_inputs": "none", "max_jobs": 100_000})
    services = DispatchServices.of(platform.connections)
    return Planning(platform.entry(ANALYSIS), options, services, lambda *_: None)


def _planned(platform: Platform) -> tuple[PlannedJob, ...]:
    """Return every job."""
    return _planning(platform).plan().jobs


def _taken_in(platform: Platform, job: PlannedJob) -> Any:
    """Take a job in as the sensor would."""
    data = canonical_json(job_document(job, given={}, query="{}", dispatch_id="bench"))
    return take_in(platform.entry(ANALYSIS).analysis, read_job(data, name="bench"), name="bench", fixed={})


def _record(number: int) -> dict[str, Any]:
    """Make a record of about 5 KB."""
    name = f"ecephys_{number % 500:06d}_2026-01-01_{number:06d}"
    return {
        "_id": f"record-{number:06d}",
        "name": name,
        "location": f"s3://bench/{name}",
        "other_identifiers": {"Code Ocean": [f"asset-{number:06d}"]},
        "subject": {"subject_id": f"{number % 500:06d}"},
        "data_description": {"data_level": "derived", "modalities": [{"abbreviation": "ecephys"}]},
        "procedures": {"notes": _FILLING},
    }


def _peak_mb() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def page(cost: PlanCost, *, machine: str) -> str:
    """Write the figure as a part of the page of results."""
    grown = cost.peak_mb - cost.start_mb
    row = f"| {cost.records} | {cost.jobs + cost.known} | {cost.known} | {cost.seconds:.1f} | {grown:.0f} |"
    return _TEXT.format(machine=machine, row=row)


_TEXT = """
# Planning a dispatch

Made by `make bench` on {machine}; embedded servers.

From the options to the plan, for records of about 5 KB and three sets of parameters each. Half of the jobs are in the
ledger as done. Inputs are not looked for. *Memory* is what the process grows by at its peak.

| records | jobs | of them done already | seconds | memory, MB |
|---|---|---|---|---|
{row}
"""


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
