"""The cost of a tick of the sensor with a hundred thousand known job files, and of their first ingestion.

It uses the embedded servers. Runs are requested and never launched. Each part is a separate process, so that its
memory can be measured.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.intake_harness import BUCKET, IntakeHarness, intake_harness, job_file, peak_mb
from benchmarks.section import Figures, Options, Section, Target
from resources.embedded.embedded import serving
from resources.inbox import queue as inbox_queue
from resources.inbox.job_inbox import InboxFile
from resources.inbox.queue import InboxQueue
from sensors.inbox_queue import Watched, ingest_reported
from sensors.job_files.cursor import Memory
from sensors.job_files.sensor import MIN_INTERVAL_S
from tests.moto_queue import NotifyingBucket, notifying_bucket

KNOWN, NEW, DONE = 100_000, 10, 1_000


def measure(options: Options) -> Figures:
    """Measure every part.

    Parameters
    ----------
    options : Options
        Scale and number of rounds.
    """
    known, done = options.size(KNOWN, least=20), options.size(DONE, least=DONE)
    with tempfile.TemporaryDirectory(prefix="bench-intake-") as folder, serving(Path(folder) / "home"):
        found = {part: _apart(part, folder, options.rounds, known, done) for part in _PARTS}
    return {"known": known, "new": NEW, "jobs": done, **found}


def _apart(part: str, folder: str, *numbers: int) -> Any:
    """Measure one part in a separate process."""
    command = [sys.executable, "-m", "benchmarks.intake", part, folder, *map(str, numbers)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _folder(folder: Path, rounds: int, known: int) -> Figures:
    """Ingest all files of a folder; then let ticks find a few more."""
    with intake_harness(folder / "home", inbox=str(folder / "files")) as harness:
        start_mb = peak_mb()
        _fill(folder / "files" / harness.name, known)
        begin, ticks = time.perf_counter(), []
        while len(harness.instance.get_dynamic_partitions(harness.name)) < known:
            ticks.append(harness.tick())
        sight = {"ticks": len(ticks), "longest_s": max(ticks), "median_s": median(ticks), "start_mb": start_mb}
        paced_s = sum(max(seconds, MIN_INTERVAL_S) for seconds in ticks)
        sight |= {"wall_s": time.perf_counter() - begin, "paced_s": paced_s, "peak_mb": peak_mb()}
        harness.end_all()
        harness.tick()
        return {"first_sight": sight, "ticks_s": _with_new(harness, rounds, known)}


def _s3(folder: Path, rounds: int, known: int) -> Figures:
    """List a bucket with and without the sensor, in turn."""
    with intake_harness(folder / "home", inbox=f"s3://{BUCKET}/listed") as harness:
        _fill(folder / "home" / "s3" / BUCKET / "listed" / harness.name, known)
        _list(harness)  # the server looks at every file once
        harness.note(harness.stores.inbox.list_files(harness.name))
        before = len(harness.instance.get_dynamic_partitions(harness.name))
        ticks, rounds_s, bare = [], [], []
        for number in range(rounds):
            bare.append(_list(harness))
            harness.write(number * NEW, NEW, prefix="new-")
            passed = [harness.tick()]
            while Memory.read(harness.cursor).after:
                passed.append(harness.tick())
            ticks += passed
            rounds_s.append(sum(passed))
        seen = len(harness.instance.get_dynamic_partitions(harness.name)) - before
        return {"bare_s": bare, "ticks_s": ticks, "rounds_s": rounds_s, "seen": seen, "wanted": rounds * NEW}


def _done(folder: Path, rounds: int, jobs: int) -> Figures:
    """Process jobs that are all done: the same files again, and other files that request the same jobs."""
    with intake_harness(folder / "home", inbox=str(folder / "done")) as harness:
        _fill(folder / "done" / harness.name, jobs)
        harness.tick()
        harness.end_all()
        harness.tick()
        same = [harness.tick() for _ in range(rounds)]
        other = []
        for number in range(rounds):
            _fill(folder / "done" / harness.name / str(number), jobs)
            other.append(harness.tick())
        requested = sum(harness.stores.ledger.jobs.counts(harness.name).values())
        return {"same_ms": _each_ms(same, jobs), "other_ms": _each_ms(other, jobs), "jobs": requested}


def _with_new(harness: IntakeHarness, rounds: int, known: int) -> list[float]:
    """Measure ticks that find a few new files each."""
    found = []
    for number in range(rounds):
        harness.write(known + number * NEW, NEW, prefix="new-")
        found.append(harness.tick())
        harness.end_all()
    return found


def _list(harness: IntakeHarness) -> float:
    """List the inbox as a bare loop does; returns how long that took (s)."""
    begin = time.perf_counter()
    pages = harness.stores.inbox.s3.client.get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=BUCKET, Prefix=f"listed/{harness.name}/"):
        page.get("Contents", [])
    return time.perf_counter() - begin


def _fill(folder: Path, count: int) -> None:
    """Write job files past the platform, as fast as the disk takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:06}.json").write_bytes(job_file(number))


def _each_ms(seconds: list[float], jobs: int) -> list[float]:
    """Return milliseconds for each job."""
    return [1000 * s / jobs for s in seconds]


def _queue(folder: Path, rounds: int, known: int) -> Figures:
    """Let a queue report a few files where few are known, and where many are."""
    inbox_queue.WAIT_S = 0  # moto's server needs no waiting, which would hide what is measured
    with notifying_bucket() as bucket:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "made",
            "AWS_SECRET_ACCESS_KEY": "up",
            "AWS_ENDPOINT_URL_SQS": bucket.address,
        }
        few = _measure_queue(folder, bucket.renewed(), rounds, min(known, _FEW))
        return {"few": few, "many": _measure_queue(folder, bucket.renewed(), rounds, known)}


def _measure_queue(folder: Path, bucket: NotifyingBucket, rounds: int, known: int) -> Figures:
    """Measure the sensor of the queue, and that of the analysis after it."""
    place = f"s3://{bucket.name}/jobs_{known}"
    with intake_harness(folder / "home", inbox=place, s3_address=bucket.address) as harness:
        harness.note([InboxFile(f"{number:06}.json", "-") for number in range(known)])
        stores, analyses = harness.stores, {harness.name: harness.entry}
        watched = Watched(InboxQueue(url=bucket.queue_url), stores.inbox, stores.notes, stores.ledger)
        harness.cursor = Memory(listed=stores.ledger.now().timestamp()).written()
        watch_s, ticks_s = [], []
        for number in range(rounds + 1):
            harness.write(known + number * NEW, NEW, prefix="new-")
            begin = time.perf_counter()
            ingest_reported(harness.instance, analyses, watched)
            watch_s.append(time.perf_counter() - begin)
            ticks_s.append(harness.tick(listing_s=3600))
        seen = sum(stores.ledger.jobs.counts(harness.name).values())
        return {"watch_s": watch_s[1:], "ticks_s": ticks_s[1:], "seen": seen - NEW, "wanted": rounds * NEW}


def _as_markdown(found: Figures) -> str:
    """Write the figures as Markdown."""
    sight, s3, queue, done = (found[part] for part in ("folder", "s3", "queue", "done"))
    first = sight["first_sight"]
    many, few = (median(queue[which]["watch_s"]) + median(queue[which]["ticks_s"]) for which in ("many", "few"))
    return _TEXT.format(
        known=found["known"],
        new=found["new"],
        jobs=found["jobs"],
        folder_s=median(sight["ticks_s"]),
        bare_s=median(s3["bare_s"]),
        longest_s=max(s3["ticks_s"]),
        round_s=median(s3["rounds_s"]),
        ratio=median(s3["rounds_s"]) / median(s3["bare_s"]),
        many_s=many,
        few_s=few,
        same_ms=median(done["same_ms"]),
        other_ms=median(done["other_ms"]),
        **{f"first_{name}": value for name, value in first.items()},
    )


def _targets(found: Figures) -> list[Target]:
    """Compare the figures with the targets."""
    first, s3, queue, done = found["folder"]["first_sight"], found["s3"], found["queue"], found["done"]
    folder_s, longest_s = median(found["folder"]["ticks_s"]), max(s3["ticks_s"])
    many, few = (median(queue[which]["watch_s"]) for which in ("many", "few"))
    paced_min = first["paced_s"] / 60
    skip_ms = median(done["same_ms"])
    known, new = found["known"], found["new"]
    what = f"sensor tick, {known} known files and {new} new"
    return [
        Target(f"{what}, in a folder", "at most 2 s", f"{folder_s:.2f} s", folder_s <= _FOLDER_S),
        Target(f"{what}, in S3 by listing", "at most 15 s", f"longest {longest_s:.1f} s", longest_s <= _S3_S),
        Target(f"{what}, with a queue", "as where few are known", f"{many / few:.2f} times", many / few <= _CONSTANT),
        Target(
            "first sight: longest tick", "at most 20 s", f"{first['longest_s']:.1f} s", first["longest_s"] <= _TICK_S
        ),
        Target("first sight: memory", "under 500 MB", f"{first['peak_mb']:.0f} MB", first["peak_mb"] < _MEMORY_MB),
        Target("first sight: all partitions", "within 30 min", f"{paced_min:.1f} min", paced_min <= _SIGHT_MIN),
        Target("all done: seen and skipped", "at most 0.2 ms a job", f"{skip_ms:.3f} ms", skip_ms <= _SKIP_MS),
    ]


_FEW = 100
_FOLDER_S, _S3_S, _CONSTANT, _TICK_S, _MEMORY_MB, _SIGHT_MIN, _SKIP_MS = 2.0, 15.0, 1.5, 20.0, 500.0, 30.0, 0.2
_PARTS = ("folder", "s3", "queue", "done")
_TEXT = """\
Ticks of the sensor with {known} known job files and {new} new ones, medians; Dagster on SQLite, runs are requested and never launched:

| inbox | seconds | beside it |
|---|---|---|
| a folder | {folder_s:.2f} | |
| S3, by listing | {longest_s:.1f} for the longest tick, {round_s:.1f} for all ticks of one round | {bare_s:.1f} for a bare loop over the pages: {ratio:.2f} times |
| S3, with a queue | {many_s:.2f} for both sensors | {few_s:.2f} where a hundred files are known |

A tick lists S3 for about 8 seconds and the next one goes on from there, so a new file waits for one round at most.

First sight of {known} files in a folder: {first_ticks} ticks, {first_median_s:.1f} s each (the longest {first_longest_s:.1f} s),
{first_wall_s:.0f} s in all, {first_paced_s:.0f} s with the pauses that the daemon makes between ticks; {first_peak_mb:.0f} MB at the peak, of which {first_start_mb:.0f} MB before the first one.

{jobs} jobs that are all done, per job: {same_ms:.3f} ms while nothing has changed; {other_ms:.2f} ms once, when other files ask for them again
(they are read, checked and added to the jobs' requests). No run is requested.
"""

SECTION = Section("intake", "Ingesting job files", measure, _as_markdown, _targets)


def main(part: str, folder: str, rounds: int, known: int, done: int) -> None:
    """Measure one part, and print its figures."""
    place = Path(folder)
    found = {
        "folder": lambda: _folder(place, rounds, known),
        "s3": lambda: _s3(place, rounds, known),
        "queue": lambda: _queue(place, rounds, known),
        "done": lambda: _done(place, rounds, done),
    }[part]()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
