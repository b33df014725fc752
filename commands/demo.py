"""`analysis demo`: the main job from end to end, on real servers of its own, and then again to see nothing computed."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from commands.dagster_processes import dagster_process, interruptible, only_one_daemon
from commands.platform import Platform, open_platform
from domain.errors import InputError, ServerUnavailableError, SettingsError
from domain.job import read_job
from domain.job_state import JobState, LedgerEntry
from domain.json_values import canonical_json
from domain.provenance import Provenance
from domain.records import from_record
from domain.stored_job import take_in
from examples.sessions import metadata_record, write_demo_sessions
from resources.settings import load_settings

ANALYSIS = "unit_quality"
DATA_BUCKET = "demo-data"
PARAMETER_SETS: tuple[dict[str, Any], ...] = (
    {"analysis_name": "Demo", "analysis_tag": "hill", "method": "hill", "isi_violations_cutoff": 0.1},
    {"analysis_name": "Demo", "analysis_tag": "llobet", "method": "llobet", "isi_violations_cutoff": 0.1},
)
TIME_LIMIT_S = 900
_POLL_S = 0.5


@dataclass(frozen=True)
class JobFile:
    """One job file of the demo: its name in the inbox, its content, and the key that it gets."""

    name: str
    content: bytes
    job_key: str


def demo(*, data: Path | None, console: Console) -> bool:
    """Run the demo.

    Parameters
    ----------
    data : Path, optional
        Folder with a person's own NWB files; otherwise sessions are generated.
    console : Console
        Where to show progress and results.

    Returns
    -------
    bool
        True if every job ended with a result and the second pass computed nothing.

    Raises
    ------
    SettingsError
        If servers other than the embedded ones are configured.
    InputError
        If the folder holds no NWB file.
    """
    settings = load_settings()
    if not (settings.embedded_mongo and settings.embedded_s3) or settings.dry_run:
        msg = "The demo runs on the embedded servers: unset DOCDB_URI, ANALYSIS_BUCKET, AWS_ENDPOINT_URL and DRY_RUN."
        raise SettingsError(msg)
    with interruptible(), open_platform(settings) as platform, _daemon(platform, console) as daemon:
        sessions = _own_sessions(data) if data else _generated_sessions(platform)
        files = _job_files(platform, sessions)
        began = _total_attempts(platform, files)
        _write(platform, files, "demo")
        jobs = _wait_for_jobs(platform, files, daemon, console)
        computed = _total_attempts(platform, files) - began
        _show(platform, jobs, console)
        console.print(
            f"First pass: {len(files)} job files, {computed} computed, {len(files) - computed} already there."
        )
        done = all(job.state is JobState.DONE for job in jobs)
        return _second_pass(platform, files, daemon, console) and done


def _generated_sessions(platform: Platform) -> list[str]:
    """Generate sessions with known truth in a bucket of the embedded server, and their metadata records."""
    folder = platform.settings.analysis_home / "s3" / DATA_BUCKET
    sessions = write_demo_sessions(folder)
    records = [metadata_record(session) for session in sessions]
    assets = platform.connections.ledger.mongo.collection("data_assets")
    for record in records:
        assets.replace_one({"_id": record["_id"]}, record, upsert=True)
    return [f"s3://{DATA_BUCKET}/{session.path.relative_to(folder).parts[0]}" for session in sessions]


def _own_sessions(folder: Path) -> list[str]:
    """Return the NWB files of a person's folder, HDF5 files and Zarr directories alike."""
    found = [p for p in sorted(folder.rglob("*")) if p.suffix == ".nwb" or p.name.endswith(".nwb.zarr")]
    tops = [p for p in found if not any(parent in found for parent in p.parents)]
    if not tops:
        msg = f"{folder} holds no *.nwb or *.nwb.zarr file or directory."
        raise InputError(msg)
    return [path.resolve().as_uri() for path in tops]


def _job_files(platform: Platform, locations: Sequence[str]) -> list[JobFile]:
    """Make a job file for each session and parameter set."""
    analysis = platform.entry(ANALYSIS).analysis
    made = []
    for number, location in enumerate(locations):
        for parameters in PARAMETER_SETS:
            content = canonical_json({"s3_location": [location], "distributed_parameters": parameters})
            name = f"{number:03d}-{parameters['analysis_tag']}.json"
            stored, _ = take_in(analysis, read_job(content, name=name), name=name, fixed={})
            made.append(JobFile(name, content, stored.job_key))
    return made


def _write(platform: Platform, files: Sequence[JobFile], folder: str) -> None:
    """Put job files into the inbox."""
    for file in files:
        platform.connections.job_inbox.write(ANALYSIS, f"{folder}/{file.name}", file.content)


@contextmanager
def _daemon(platform: Platform, console: Console) -> Iterator["subprocess.Popen[bytes] | None"]:
    """Run Dagster's daemon with the sensors on, unless `analysis dev` already runs one over this folder."""
    settings = platform.settings
    with ExitStack() as stack:
        if not stack.enter_context(only_one_daemon(settings)):
            console.print("Using the Dagster daemon of the running `analysis dev`.")
            yield None
            return
        log = settings.analysis_home / "logs" / "demo-daemon.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        words = ["-m", "dagster._daemon", "run"]
        yield stack.enter_context(dagster_process(settings, words, log=log))


def _wait_for_jobs(
    platform: Platform, files: Sequence[JobFile], daemon: "subprocess.Popen[bytes] | None", console: Console
) -> list[LedgerEntry]:
    """Wait until every job has ended; returns them."""
    keys = list(dict.fromkeys(file.job_key for file in files))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Jobs", total=len(keys))
        for _ in _polls(platform, daemon, "jobs did not end"):
            jobs = platform.connections.ledger.get_many(ANALYSIS, keys)
            ended = [j for j in jobs.values() if j.state in {JobState.DONE, JobState.FAILED}]
            running = sum(j.state is JobState.RUNNING for j in jobs.values())
            progress.update(task, completed=len(ended), description=f"Jobs ({running} running)")
            if len(ended) == len(keys):
                return [jobs[key] for key in keys]
    raise AssertionError  # pragma: no cover  the polls end by an error


def _second_pass(
    platform: Platform, files: Sequence[JobFile], daemon: "subprocess.Popen[bytes] | None", console: Console
) -> bool:
    """Ask for the same jobs by other files, and see that nothing is computed."""
    before = _total_attempts(platform, files)
    _write(platform, files, "demo-again")
    names = {f"demo-again/{file.name}" for file in files}
    with console.status("Asking for the same jobs again"):
        for _ in _polls(platform, daemon, "job files were not taken in"):
            if names <= set(platform.connections.inbox_notes.known(ANALYSIS)):
                break
    computed = _total_attempts(platform, files) - before
    console.print(f"Second pass: the same {len(files)} jobs in other files, {computed} computed.")
    return computed == 0


def _polls(platform: Platform, daemon: "subprocess.Popen[bytes] | None", what: str) -> Iterator[None]:
    """Yield until the time is up or the daemon ends, both of which are errors."""
    log = platform.settings.analysis_home / "logs" / "demo-daemon.log"
    end = time.monotonic() + TIME_LIMIT_S
    while time.monotonic() < end:
        if daemon is not None and daemon.poll() is not None:
            msg = f"The Dagster daemon ended with code {daemon.returncode}. Its log: {log}"
            raise ServerUnavailableError(msg)
        yield
        time.sleep(_POLL_S)
    msg = f"After {TIME_LIMIT_S} s the demo's {what}. The daemon's log: {log}"
    raise ServerUnavailableError(msg)


def _total_attempts(platform: Platform, files: Sequence[JobFile]) -> int:
    """Count how often the demo's jobs were ever claimed for execution."""
    jobs = platform.connections.ledger.get_many(ANALYSIS, [file.job_key for file in files])
    return sum(job.attempt_number for job in jobs.values())


def _show(platform: Platform, jobs: Sequence[LedgerEntry], console: Console) -> None:
    """Show a table of results, and the reason of each failure."""
    records = platform.connections.record_store.get_many([job.result_id for job in jobs if job.result_id])
    table = Table("session", "method", "outcome", "units", "passing", "seconds", title=ANALYSIS)
    figures = []
    for job in jobs:
        record = records.get(job.result_id or "")
        if job.state is not JobState.DONE or record is None:
            reason = job.error.message if job.error else "no result"
            table.add_row(
                escape(job.inputs["spelled_locations"][0]),
                job.parameters["method"],
                escape(f"failed: {reason}"),
                "",
                "",
                "",
            )
            continue
        found = from_record(record)
        session = escape(", ".join(found.session_names))
        outputs = found.outputs
        table.add_row(
            session,
            found.parameters["method"],
            outputs["outcome"],
            str(outputs["n_units"]),
            str(outputs["n_passing"]),
            f"{found.duration_s:.2f}",
        )
        figures.append((session, _figure_path(platform, found)))
    console.print(table)
    for session, path in figures:
        console.print(f"{session}: {escape(str(path))}", soft_wrap=True, highlight=False)


def _figure_path(platform: Platform, found: Provenance) -> Path:
    """Return where the embedded server keeps a result's figure as a plain file."""
    served = platform.settings.analysis_home / "s3"
    return served / found.location.removeprefix("s3://") / (found.figure or "")
