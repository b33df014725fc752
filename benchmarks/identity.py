"""Job keys a second: what identity costs beside writing JSON and hashing it, the least that anybody would do."""

import hashlib
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.section import Figures, Options, Section, Target
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import Job

_WANTED = 10_000
_LARGE = {"locations": 50, "parameters": 100}
Made = tuple[Job, JobInputs, dict[str, Any]]


def _small(number: int) -> Made:
    """Make a job as most are: one data asset and five parameters."""
    job = Job(s3_location=(f"s3://aind-open-data/ecephys_{700_000 + number}_2024-05-01_10-00-00",))
    return (
        job,
        JobInputs.of(job),
        {"alpha": number / 7, "method": "llobet", "bin_s": 0.05, "min_spikes": 100, "drift": None},
    )


def _large(number: int) -> Made:
    """Make a grouped job of many sessions, with a long table of parameters."""
    urls = (f"s3://aind-open-data/ecephys_{number}_{n}_2024-05-01_10-00-00" for n in range(_LARGE["locations"]))
    job = Job(s3_location=tuple(urls))
    return job, JobInputs.of(job), {f"value_{n}": [number / 7, n, f"text {n}"] for n in range(_LARGE["parameters"])}


def _key(made: Made) -> str:
    """Compute the key of a job."""
    return job_key(made[1], made[2])


def _whole(made: Made) -> str:
    """Judge and normalize the addresses of a job, and compute its key."""
    return job_key(JobInputs.of(made[0]), made[2])


def _bare(made: Made) -> str:
    """Write the same document with the standard library, and hash it."""
    _, inputs, parameters = made
    document = {"format": "x", "inputs": inputs.identity(), "parameters": parameters}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _per_second(work: Callable[[Made], str], jobs: list[Made]) -> float:
    """Return the number of calls per second."""
    begin = time.perf_counter()
    for made in jobs:
        work(made)
    return len(jobs) / (time.perf_counter() - begin)


_WAYS = {"keys_per_s": _key, "whole_per_s": _whole, "bare_per_s": _bare}


def measure(options: Options) -> Figures:
    """Measure keys a second, each round side by side with the floor."""
    figures: Figures = {}
    for size, make, full in (("small", _small, 10_000), ("large", _large, 500)):
        jobs = [make(number) for number in range(options.size(full, least=20))]
        rounds = [{way: _per_second(work, jobs) for way, work in _WAYS.items()} for _ in range(options.rounds)]
        medians = {way: statistics.median(one[way] for one in rounds) for way in _WAYS}
        figures[size] = {"jobs": len(jobs), **medians, "rounds": rounds}
    return figures


def as_markdown(figures: Figures) -> str:
    """Write the figures as a table."""
    meant = {
        "small": "1 data asset, 5 parameters",
        "large": f"{_LARGE['locations']} data assets, {_LARGE['parameters']} parameters of 3 values",
    }
    lines = [
        "| job | keys a second | with its addresses judged | `json.dumps` and sha256 a second | share of that floor |",
        "|---|---|---|---|---|",
    ]
    for size, one in figures.items():
        cells = [f"{one[way]:,.0f}" for way in _WAYS]
        lines.append(f"| {meant[size]} | {' | '.join(cells)} | {one['keys_per_s'] / one['bare_per_s']:.2f} |")
    return "\n".join(lines)


def targets(figures: Figures) -> list[Target]:
    """Compare the figures of a typical job with the targets."""
    found = figures["small"]["keys_per_s"]
    return [Target("job keys", f"{_WANTED:,} a second or more", f"{found:,.0f} a second", found >= _WANTED)]


SECTION = Section("identity", "Identity", measure, as_markdown, targets)
