"""What it costs to plan a large dispatch: time, and memory beside what the process needs to start.

It is measured in a separate process, so that nothing else counts: ``python -m benchmarks.dispatch``.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from benchmarks.medians import medians
from benchmarks.section import Figures, Options, Section, Target
from benchmarks.stage import bench_home
from dispatch.model.options import read_options
from dispatch.model.plan import PlannedJob, job_document
from dispatch.planning import Planning
from dispatch.services import DispatchServices
from domain.job.job_file import read_job
from domain.job.state import JobState
from domain.job.stored import ingest
from domain.json_values import canonical_json
from operations.platform import Platform, open_platform
from resources.environment import child_environment
from resources.settings import Settings

RECORDS = 10_000
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


def measure(options: Options) -> Figures:
    """Fill a database once, and plan in each round."""
    records = options.size(RECORDS, least=10)
    with bench_home() as home:
        _step(str(home), records, "fill")
        rounds = [json.loads(_step(str(home), records, "plan")) for _ in range(options.rounds)]
    return {"rounds": rounds}


def _step(home: str, records: int, step: str) -> str:
    """Run this module over the embedded servers of a folder; gives what it printed."""
    command = [sys.executable, "-m", "benchmarks.dispatch", str(records), step]
    environment = child_environment(ANALYSIS_HOME=home, DOCDB_DATABASE="bench_dispatch")
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def main(records: int, step: str) -> None:
    """Fill the database, or plan and print what that cost."""
    with open_platform(Settings()) as platform:
        if step == "fill":
            _fill(platform, records)
        else:
            sys.stdout.write(json.dumps(asdict(_plan(platform))))


def _fill(platform: Platform, records: int) -> None:
    """Store records of assets, and half of their jobs as done."""
    assets = platform.connections.ledger.mongo.collection("data_assets").raw
    assets.drop()
    documents = (_record(number) for number in range(records))
    while some := list(islice(documents, _STORED_AT_ONCE)):
        assets.insert_many(some)
    entry, ledger = platform.entry(ANALYSIS), platform.connections.ledger
    jobs = iter(_planned(platform)[::2])
    while batch := list(islice(jobs, _STORED_AT_ONCE)):
        ledger.requests.store([_taken_in(platform, job) for job in batch], code_version=entry.code_version)
    done = {"state": JobState.DONE.value, "code_version": entry.code_version}
    ledger.mongo.collection(f"{ledger.records_name}_jobs").update_many({}, {"$set": done})


def _plan(platform: Platform) -> PlanCost:
    start_mb, begin = _peak_mb(), time.perf_counter()
    plan = _planning(platform).plan()
    seconds = time.perf_counter() - begin
    return PlanCost(plan.records, len(plan.jobs), len(plan.skips), seconds, start_mb, _peak_mb())


def _planning(platform: Platform) -> Planning:
    """Request every record, three times; inputs do not exist, so they are not checked."""
    options = read_options({"query": "{}", "sweep": SETS, "check_inputs": "none", "max_jobs": 100_000})
    services = DispatchServices.of(platform.connections)
    return Planning(platform.entry(ANALYSIS), options, services, lambda *_: None)


def _planned(platform: Platform) -> tuple[PlannedJob, ...]:
    return _planning(platform).plan().jobs


def _taken_in(platform: Platform, job: PlannedJob) -> Any:
    """Ingest a job as the sensor would."""
    data = canonical_json(job_document(job, given={}, query="{}", dispatch_id="bench"))
    return ingest(platform.entry(ANALYSIS).analysis, read_job(data, name="bench"), name="bench", fixed={})


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


def as_markdown(figures: Figures) -> str:
    """Write the medians as a table."""
    cost = PlanCost(**medians(figures["rounds"]))
    cells = f"{cost.records:.0f} | {cost.jobs + cost.known:.0f} | {cost.known:.0f} | {cost.seconds:.1f}"
    return _TEXT.format(rounds=len(figures["rounds"]), row=f"| {cells} | {cost.peak_mb - cost.start_mb:.0f} |")


_TEXT = """
From the options to the plan, for records of about 5 KB and three sets of parameters each; medians of {rounds} rounds. Half of the jobs are in the
ledger as done. Inputs are not looked for. *Memory* is what the process grows by at its peak.

| records | jobs | of them done already | seconds | memory, MB |
|---|---|---|---|---|
{row}
"""


def targets(figures: Figures) -> list[Target]:  # noqa: ARG001  the form of every section
    """There are no targets."""
    return []


SECTION = Section("dispatch", "Planning a dispatch", measure, as_markdown, targets)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
