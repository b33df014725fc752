"""`analysis demo`: from job files to results on embedded servers, twice, to show that each job is computed once."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.dagster_processes import dagster_process, interruptible
from cli.demo.jobs import JobFile, generated_sessions, job_files, own_sessions, write_job_files
from cli.demo.tables import show_report, show_results
from domain.errors import ServerUnavailableError, SettingsError
from domain.job.state import JobState, LedgerEntry
from engine.assets.runs import UNFINISHED, span_of
from operations.daemon_lock import only_one_daemon
from operations.platform import Platform, open_platform
from resources.settings import load_settings


@dataclass(frozen=True)
class Patience:
    """Time limits and poll interval of the demo.

    Attributes
    ----------
    limit_s : float
        Time for its jobs, and for its files to be ingested (s).
    poll_s : float
        Interval between two checks (s).
    runs_s : float
        For other runs, such as those that update tables, when everything else has ended; then they are canceled (s).
    """

    limit_s: float = 900
    poll_s: float = 0.5
    runs_s: float = 20.0


def demo(*, data: Path | None, console: Console) -> bool:
    """Run the demo.

    Parameters
    ----------
    data : Path, optional
        Folder with NWB files; by default, sessions are generated.
    console : Console
        Console for progress and results.

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
    with interruptible(), open_platform(settings) as platform, running_daemon(platform, console) as daemon:
        sessions = own_sessions(data) if data else generated_sessions(platform)
        files = job_files(platform, sessions)
        began = total_attempts(platform, files)
        write_job_files(platform, files, "demo")
        jobs = _wait_for_jobs(platform, files, daemon, console)
        computed = total_attempts(platform, files) - began
        for analysis in jobs:
            show_results(platform, analysis, jobs[analysis], console)
            show_report(platform, analysis, console)
        console.print(
            f"First pass: {len(files)} job files, {computed} computed, {len(files) - computed} already there."
        )
        done = all(job.state is JobState.DONE for of_analysis in jobs.values() for job in of_analysis)
        return _second_pass(platform, files, daemon, console) and done


@contextmanager
def running_daemon(platform: Platform, console: Console) -> Iterator["subprocess.Popen[bytes] | None"]:
    """Run Dagster's daemon with the sensors on, unless `analysis dev` already runs one for this folder.

    Yields
    ------
    subprocess.Popen or None
        The daemon; None when it is that of `analysis dev`.
    """
    settings = platform.settings
    with ExitStack() as stack:
        if stack.enter_context(only_one_daemon(settings)) is None:
            console.print("Using the Dagster daemon of the running `analysis dev`.")
            yield None
            return
        log = settings.analysis_home / "logs" / "demo-daemon.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        words = ["-m", "dagster._daemon", "run"]
        yield stack.enter_context(dagster_process(settings, words, log=log))


def _wait_for_jobs(
    platform: Platform, files: Sequence[JobFile], daemon: "subprocess.Popen[bytes] | None", console: Console
) -> dict[str, list[LedgerEntry]]:
    n_jobs = len({(file.analysis, file.job_key) for file in files})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Jobs", total=n_jobs)
        for _ in polls(platform, daemon, "jobs did not end"):
            jobs = jobs_of(platform, files)
            states = Counter(job.state for of_analysis in jobs.values() for job in of_analysis)
            ended = states[JobState.DONE] + states[JobState.FAILED]
            progress.update(task, completed=ended, description=f"Jobs ({states[JobState.RUNNING]} running)")
            if ended == n_jobs:
                return jobs
    raise AssertionError  # pragma: no cover  the polls end with an error


def jobs_of(platform: Platform, files: Sequence[JobFile]) -> dict[str, list[LedgerEntry]]:
    """Return the demo's jobs in the ledger, by analysis and in the order of their files."""
    keys: dict[str, dict[str, None]] = {}
    for file in files:
        keys.setdefault(file.analysis, {})[file.job_key] = None
    known = {
        name: platform.connections.ledger.jobs.get_many(name, list(of_analysis)) for name, of_analysis in keys.items()
    }
    return {name: [known[name][key] for key in of_analysis if key in known[name]] for name, of_analysis in keys.items()}


def _second_pass(
    platform: Platform, files: Sequence[JobFile], daemon: "subprocess.Popen[bytes] | None", console: Console
) -> bool:
    """Request the same jobs with other files, and verify that nothing is computed."""
    before = total_attempts(platform, files)
    write_job_files(platform, files, "demo-again")
    names = {(file.analysis, f"demo-again/{file.name}") for file in files}
    analyses = {file.analysis for file in files}
    with console.status("Asking for the same jobs again"):
        for _ in polls(platform, daemon, "job files were not ingested"):
            if names <= {(name, known) for name in analyses for known in platform.connections.inbox_notes.known(name)}:
                break
        if daemon is not None:
            with dg.DagsterInstance.from_config(str(platform.settings.dagster_home)) as instance:
                end_runs(instance)
    computed = total_attempts(platform, files) - before
    console.print(f"Second pass: the same {len(files)} jobs in other files, {computed} computed.")
    return computed == 0


def end_runs(instance: dg.DagsterInstance, *, patience: Patience = Patience()) -> None:
    """Wait for the runs of other Dagster jobs than analyses, then cancel them: they would be killed with the daemon.

    The jobs of the demo have ended. A run of an analysis computes other jobs, which a cancellation would cancel too; killed,
    it fails when a daemon runs again, and its jobs are computed then.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Where the runs are.
    patience : Patience
        How long to wait for them, and for their cancellation.
    """
    if _wait_for_runs(instance, patience):
        return
    for run in _unfinished(instance):
        with suppress(dg.DagsterError):  # its code server does not answer: none is left to cancel it
            instance.run_coordinator.cancel_run(run.run_id)
    _wait_for_runs(instance, patience)


def _wait_for_runs(instance: dg.DagsterInstance, patience: Patience) -> bool:
    """Wait until no run is unfinished; returns False when the time is up."""
    end = time.monotonic() + patience.runs_s
    while unfinished := _unfinished(instance):
        if time.monotonic() >= end:
            break
        time.sleep(patience.poll_s)
    return not unfinished


def _unfinished(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Return the runs that have not ended and compute no jobs."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return [run for run in runs if span_of(run) == ("", "")]


def polls(
    platform: Platform, daemon: "subprocess.Popen[bytes] | None", what: str, *, patience: Patience = Patience()
) -> Iterator[None]:
    """Yield until the time limit is reached or the daemon ends; both raise.

    Parameters
    ----------
    platform : Platform
        Its home has the log of the daemon.
    daemon : subprocess.Popen or None
        The daemon; None if `analysis dev` runs it.
    what : str
        Description of the awaited event, for the message.
    patience : Patience
        Time limit and interval.

    Raises
    ------
    ServerUnavailableError
        If the time limit is reached, or the daemon has ended.
    """
    log = platform.settings.analysis_home / "logs" / "demo-daemon.log"
    end = time.monotonic() + patience.limit_s
    while time.monotonic() < end:
        if daemon is not None and daemon.poll() is not None:
            msg = f"The Dagster daemon ended with code {daemon.returncode}. Its log: {log}"
            raise ServerUnavailableError(msg)
        yield
        time.sleep(patience.poll_s)
    msg = f"After {patience.limit_s:g} s the demo's {what}. The daemon's log: {log}"
    raise ServerUnavailableError(msg)


def total_attempts(platform: Platform, files: Sequence[JobFile]) -> int:
    """Return the number of attempts of all jobs of the demo."""
    jobs = jobs_of(platform, files)
    return sum(job.attempt_number for of_analysis in jobs.values() for job in of_analysis)
