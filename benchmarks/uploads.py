"""Uploading a result, beside ``rclone copy`` of the same folder to the same server.

Both run in processes of their own, one after the other, in turns. rclone hashes each file too (MD5, and SHA-256 because
the server speaks no TLS); the platform hashes for its manifest what it sends. Times are from the first file to the last;
starting Python or rclone counts for neither: rclone's start (some 0.1 s) is measured with an empty folder and taken off.
"""

import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from hashlib import sha256
from pathlib import Path

from benchmarks.section import Figures, Options, Section, Target
from engine.execution.publish import manifest_of, result_files, upload
from resources.embedded.embedded import ServerAddresses, serving
from resources.embedded.programs import find_rclone
from resources.environment import child_environment
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from resources.settings import PROJECT_ROOT

SMALL_FILES, LARGE_FILES, LARGE_BYTES = 2000, 5, 1000**3
SMALL_BYTES = (1000, 10_000)
RATIO = 0.8
MEMORY_MB = 500
_BUCKET = "bench-uploads"
_BLOCK = 8 * 1024 * 1024
_MB = 1024
_LOOK_S = 0.01
_RCLONE = "RCLONE_CONFIG_BENCH_"


def measure(options: Options) -> Figures:
    """Upload many small files and a few large ones, both ways in turns."""
    with tempfile.TemporaryDirectory(prefix="bench-uploads-") as folder, serving(Path(folder) / "home") as addresses:
        home, empty = Path(folder) / "home", Path(folder) / "empty"
        S3Connection(embedded_home=str(home)).ensure_bucket(_BUCKET)
        empty.mkdir()
        sets = {
            "small": _small(Path(folder) / "small", options.size(SMALL_FILES, least=100)),
            "large": _large(Path(folder) / "large", options.size(LARGE_BYTES, least=2 * _BLOCK)),
        }
        start_s = min(_rclone(empty, addresses)["seconds"] for _ in range(3))
        return {name: _compared(made, home, addresses, options.rounds, start_s) for name, made in sets.items()}


def _compared(folder: Path, home: Path, addresses: ServerAddresses, rounds: int, start_s: float) -> Figures:
    """Upload one folder both ways, in turns, and return medians."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_platform(folder, home))
        _forget(home)
        theirs.append(_rclone(folder, addresses))
        _forget(home)
        theirs[-1]["seconds"] = max(theirs[-1]["seconds"] - start_s, _LOOK_S)
    files = [path for path in folder.rglob("*") if path.is_file()]
    ratios = [their["seconds"] / our["seconds"] for our, their in zip(ours, theirs, strict=True)]
    return {
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "platform": _median(ours),
        "rclone": _median(theirs),
        "ratio": statistics.median(ratios),
        "rounds": {"platform": ours, "rclone": theirs, "ratios": ratios},
    }


def _median(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def _platform(folder: Path, home: Path) -> dict[str, float]:
    """Upload a folder as a run does, in a separate process."""
    command = [sys.executable, "-m", "benchmarks.uploads", str(home), str(folder)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, env=child_environment(), capture_output=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _rclone(folder: Path, addresses: ServerAddresses) -> dict[str, float]:
    """Copy a folder with rclone and its default options."""
    place = f"bench:{_BUCKET}/{uuid.uuid4().hex}"
    options = {
        "TYPE": "s3",
        "PROVIDER": "Rclone",
        "ENDPOINT": addresses.s3_endpoint,
        "ACCESS_KEY_ID": addresses.access_key,
        "SECRET_ACCESS_KEY": addresses.secret_key,
    }
    environment = child_environment(**{_RCLONE + name: value for name, value in options.items()})
    command = [str(find_rclone()), "--config", "", "copy", str(folder), place]
    begin = time.perf_counter()
    peak_mb = 0.0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            peak_mb = max(peak_mb, _peak_mb(process.pid))
            time.sleep(_LOOK_S)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {"seconds": seconds, "cpu_s": ended[2].ru_utime + ended[2].ru_stime, "peak_mb": peak_mb}


def _peak_mb(pid: int) -> float:
    """Return the largest resident memory of a process so far: ``getrusage`` would count its parent's too."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / _MB if found else 0.0  # it has ended and not been waited for


def _forget(home: Path) -> None:
    """Delete what was uploaded, and wait for the disk, so that no round pays for an earlier one."""
    for uploaded in (home / "s3" / _BUCKET).iterdir():
        shutil.rmtree(uploaded)
    os.sync()


def _small(folder: Path, files: int) -> Path:
    """Make many small files in a few folders."""
    made = random.Random(6)  # noqa: S311  sizes and fillings, the same each time
    for number in range(files):
        path = folder / f"{number % 20:02d}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.randbytes(made.randint(*SMALL_BYTES)))
    return folder


def _large(folder: Path, size: int) -> Path:
    """Make a few large files."""
    made = random.Random(6)  # noqa: S311  likewise
    folder.mkdir()
    block = made.randbytes(_BLOCK)
    for number in range(LARGE_FILES):
        with (folder / f"{number}.bin").open("wb") as file:
            for begin in range(0, size, _BLOCK):
                file.write(block[: size - begin])
    return folder


def as_markdown(figures: Figures) -> str:
    """Write the figures as Markdown."""
    rows = [
        f"| {found['files']} files, {found['bytes'] / 1e6:.0f} MB | {way} | {found[way]['seconds']:.2f} | "
        f"{found['bytes'] / 1e6 / found[way]['seconds']:.0f} | {found[way]['cpu_s']:.2f} | {found[way]['peak_mb']:.0f} |"
        for found in (figures["small"], figures["large"])
        for way in ("platform", "rclone")
    ]
    return _TEXT.format(rows="\n".join(rows), **{name: f"{found['ratio']:.2f}" for name, found in figures.items()})


def targets(figures: Figures) -> list[Target]:
    """Compare the figures with the targets."""
    found = []
    for name, what in (("small", f"{figures['small']['files']} small files"), ("large", "a few large files")):
        ratio, peak = figures[name]["ratio"], figures[name]["platform"]["peak_mb"]
        speed = f"at least {RATIO}x the speed of `rclone copy`"
        found.append(Target(f"upload of {what}", speed, f"{ratio:.2f}x", ratio >= RATIO))
        found.append(Target(f"memory for {what}", f"at most {MEMORY_MB} MB", f"{peak:.0f} MB", peak <= MEMORY_MB))
    return found


_TEXT = """`rclone copy` has its default flags (4 files at once; parts of 5 MB from 200 MB on); its start is taken off, ours is not
counted. The platform hashes every file for its manifest on the way. *Memory* is the largest resident memory of the
process; Python with the platform loaded takes some 150 MB of it before the first file.

| what | way | s | MB/s | CPU of the client, s | memory, MB |
|---|---|---|---|---|---|
{rows}

Speed of the platform relative to `rclone copy`, median of the rounds: {small}x for many small files, {large}x for a few
large ones.
"""

SECTION = Section("uploads", "Uploading results", measure, as_markdown, targets)


def main(home: str, folder: str) -> None:
    """Upload a folder as one result, and print the cost; in a separate process, so that its memory is known."""
    store = ResultsStore(s3=S3Connection(embedded_home=home), root=_BUCKET)
    location = store.location(sha256(folder.encode()).hexdigest(), str(uuid.uuid4()))
    log = Path(folder).parent / "analysis.log"
    log.write_bytes(b"")
    store.list_files(location)  # the client is there, as in a run that has done other jobs
    begin, cpu_s = time.perf_counter(), time.process_time()
    stored = upload(store, location, Path(folder), result_files(Path(folder)), log=log)
    manifest_of(stored, log=log)
    found = {
        "seconds": time.perf_counter() - begin,
        "cpu_s": time.process_time() - cpu_s,
        "peak_mb": _peak_mb(os.getpid()),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
