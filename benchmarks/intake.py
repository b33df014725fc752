"""What a tick of the sensor costs when a hundred thousand job files are known, and how they are first taken in.

Servers are the embedded ones. Runs are asked for and never launched. Each part is a process of its own, so that its
memory can be told.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.intake_world import BUCKET, IntakeWorld, intake_world, job_file, peak_mb
from benchmarks.section import Figures, Options
from resources.embedded import serving
from sensors.memory import Memory

KNOWN, NEW, DONE = 100_000, 10, 1_000


def measure(options: Options) -> Figures:
    """Measure every part.

    Parameters
    ----------
    options : Options
        How much.
    """
    known, done = options.size(KNOWN, least=20), options.size(DONE, least=20)
    with tempfile.TemporaryDirectory(prefix="bench-intake-") as folder, serving(Path(folder) / "home"):
        found = {part: _apart(part, folder, options.rounds, known, done) for part in _PARTS}
    return {"known": known, "new": NEW, "jobs": done, **found}


def _apart(part: str, folder: str, *numbers: int) -> Any:
    """Measure one part in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.intake", part, folder, *map(str, numbers)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _folder(folder: Path, rounds: int, known: int) -> Figures:
    """Take in every file of a folder; then let ticks find a few more."""
    with intake_world(folder / "home", inbox=str(folder / "files")) as world:
        start_mb = peak_mb()
        _fill(folder / "files" / world.name, known)
        begin, ticks = time.perf_counter(), []
        while len(world.instance.get_dynamic_partitions(world.name)) < known:
            ticks.append(world.tick())
        sight = {"ticks": len(ticks), "longest_s": max(ticks), "median_s": median(ticks), "start_mb": start_mb}
        sight |= {"wall_s": time.perf_counter() - begin, "peak_mb": peak_mb()}
        world.end_all()
        world.tick()
        return {"first_sight": sight, "ticks_s": _with_new(world, rounds, known)}


def _s3(folder: Path, rounds: int, known: int) -> Figures:
    """List a bucket with and without the sensor, in turn."""
    with intake_world(folder / "home", inbox=f"s3://{BUCKET}/listed") as world:
        _fill(folder / "home" / "s3" / BUCKET / "listed" / world.name, known)
        _list(world)  # the server looks at every file once
        world.note_all()
        ticks, rounds_s, bare = [], [], []
        for number in range(rounds):
            bare.append(_list(world))
            world.write(number * NEW, NEW, prefix="new-")
            passed = [world.tick()]
            while Memory.read(world.cursor).after:
                passed.append(world.tick())
            ticks += passed
            rounds_s.append(sum(passed))
        seen = len(world.instance.get_dynamic_partitions(world.name))
        return {"bare_s": bare, "ticks_s": ticks, "rounds_s": rounds_s, "seen": seen, "wanted": rounds * NEW}


def _done(folder: Path, rounds: int, jobs: int) -> Figures:
    """Look at jobs that are all done: the same files again, and other files that ask for the same jobs."""
    with intake_world(folder / "home", inbox=str(folder / "done")) as world:
        _fill(folder / "done" / world.name, jobs)
        world.tick()
        world.end_all()
        world.tick()
        same = [world.tick() for _ in range(rounds)]
        other = []
        for number in range(rounds):
            _fill(folder / "done" / world.name / str(number), jobs)
            other.append(world.tick())
        asked = sum(world.stores.ledger.counts(world.name).values())
        return {"same_ms": _each_ms(same, jobs), "other_ms": _each_ms(other, jobs), "jobs": asked}


def _with_new(world: IntakeWorld, rounds: int, known: int) -> list[float]:
    """Measure ticks that find a few new files each."""
    found = []
    for number in range(rounds):
        world.write(known + number * NEW, NEW, prefix="new-")
        found.append(world.tick())
        world.end_all()
    return found


def _list(world: IntakeWorld) -> float:
    """List the inbox as a bare loop does; returns how long that took (s)."""
    begin = time.perf_counter()
    pages = world.stores.inbox.s3.client.get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=BUCKET, Prefix=f"listed/{world.name}/"):
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


_PARTS = ("folder", "s3", "done")


def main(part: str, folder: str, rounds: int, known: int, done: int) -> None:
    """Measure one part, and print its figures."""
    place = Path(folder)
    found = {
        "folder": lambda: _folder(place, rounds, known),
        "s3": lambda: _s3(place, rounds, known),
        "done": lambda: _done(place, rounds, done),
    }[part]()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
