"""One job inside its worker process: load the analysis, open its inputs, call ``run``, judge what it returned.

A worker writes only below the job's private folder; it never touches the ledger, the records or the results. What it
prints goes to the job's own log. Everything that can go wrong in user code comes back as a `JobError`.
"""

import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import FrameType, TracebackType, UnionType
from typing import Any, TextIO

from analysis_assets._catalog import CatalogEntry, load_analysis
from analysis_assets._command import CommandFailedError, CommandJob, run_command
from analysis_assets._outputs import checked_outputs
from analysis_assets._usage import cpu_s, reset_peak_memory, resource_facts
from domain.analysis import AnalysisJob
from domain.command import Command
from domain.errors import (
    CodeChangedError,
    InputChangedError,
    InputError,
    OutputError,
    PlatformError,
    ServerUnavailableError,
    TransientError,
)
from domain.inputs import InputFile
from domain.job_state import FailureKind, JobError
from domain.parameters import validate_stored
from domain.provenance import ResourceFacts
from resources.input_reader import InputReader
from resources.nwb import Session, describe_session
from resources.own_process import asker_for_end_with_parent

LOG_NAME = "analysis.log"
LOG_TAIL_BYTES = 32 * 1024
TEXT_CHARACTERS = 16 * 1024
RESULTS_VARIABLE = "RESULTS_DIR"
_WORDS = Path(__file__).parents[1] / "domain"
_KINDS: tuple[tuple[type[PlatformError] | UnionType, FailureKind], ...] = (
    (InputError | InputChangedError, "input"),
    (OutputError, "output"),
    (CodeChangedError, "code_changed"),
    (ServerUnavailableError, "server"),
)


@dataclass(frozen=True)
class Task:
    """Everything that a worker needs for one job.

    Attributes
    ----------
    analysis_file : Path
        The analysis.
    code_version : str
        The code that the run announced.
    locations, files : tuple of str
        The job's inputs, spelled as the job file spelled them.
    parameters : dict
        The stored parameters.
    folder : Path
        The job's private folder.
    inputs : InputReader
        Reads the job's inputs.
    """

    analysis_file: Path
    code_version: str
    locations: tuple[str, ...]
    files: tuple[str, ...]
    parameters: dict[str, Any]
    folder: Path
    inputs: InputReader

    @property
    def results(self) -> Path:
        """Folder that the analysis writes its files into."""
        return self.folder / "results"

    @property
    def log(self) -> Path:
        """File that receives everything the analysis prints."""
        return self.folder / LOG_NAME

    @property
    def pid_file(self) -> Path:
        """File that names the process at work, whose whole group ends with the job."""
        return self.folder / "pid"


@dataclass(frozen=True)
class Work:
    """What a worker brings back from a job that succeeded."""

    outputs: dict[str, Any]
    not_finite: tuple[str, ...]
    inputs: tuple[InputFile, ...]
    sessions: tuple[Session, ...]
    started: datetime
    ended: datetime
    resources: ResourceFacts


def prepare_worker() -> None:
    """Make this process a group of its own that ends, grandchildren included, with the process that started it."""
    os.setpgrp()
    signal.signal(signal.SIGTERM, _end_group)
    if (ask_for_end := asker_for_end_with_parent(signal.SIGTERM)) is not None:
        ask_for_end()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(file=2, all_threads=False)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)


def execute(task: Task) -> Work | JobError:
    """Run one job in this process.

    Parameters
    ----------
    task : Task
        The job; its folder exists and is empty.

    Returns
    -------
    Work or JobError
        What it brought back, or why it failed. Only a dying process returns nothing.
    """
    task.pid_file.write_text(str(os.getpid()), encoding="ascii")
    task.results.mkdir()
    with _captured(task):
        try:
            return run_task(task)
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            return _describe(error)


def run_task(task: Task) -> Work:
    """Open the inputs when asked, run the analysis, and check what it returned.

    Parameters
    ----------
    task : Task
        The job; its folder and its results folder exist.

    Returns
    -------
    Work
        What the analysis brought back.

    Raises
    ------
    CodeChangedError
        If the analysis is no longer what the run announced.
    Exception
        Whatever user code raises, and what its inputs or its outputs are refused for.
    """
    entry = _load(task.analysis_file)
    if entry.code_version != task.code_version:
        msg = (
            f"{task.analysis_file} changed while the run was using it: the run announced {task.code_version}, "
            f"the file is now {entry.code_version}. The job is tried again with the new code by the next run."
        )
        raise CodeChangedError(msg)
    opened = _Opened(task)
    parameters = validate_stored(entry.analysis, task.parameters)
    with _surroundings(task, entry):
        reset_peak_memory()
        cpu_before, started = cpu_s(), datetime.now(UTC)
        returned, peak_memory_bytes = _call(entry, task, opened, parameters)
        ended = datetime.now(UTC)
        used = resource_facts(cpu_s() - cpu_before, peak_memory_bytes)
    outputs, not_finite = checked_outputs(entry.analysis, returned)
    opened.check_unchanged()
    return Work(outputs, not_finite, opened.facts, opened.sessions(), started, ended, used)


def _call(entry: CatalogEntry, task: Task, opened: "_Opened", parameters: Any) -> tuple[Any, int | None]:
    """Call the function, or run the command; returns what came back, and the memory of another process."""
    run = entry.analysis.run
    if not isinstance(run, Command):
        job = AnalysisJob(locations=task.locations, files=task.files, opener=opened.open)
        return run(job, parameters, task.results), None
    job_of_command = CommandJob(
        analysis=entry.analysis.name,
        identity=entry.command_identity,
        inputs=opened.open(),
        locations=task.locations,
        files=task.files,
        parameters=task.parameters,
        folder=task.folder,
        results=task.results,
    )
    end = run_command(run, task.analysis_file.parent, job_of_command)
    return end.outputs, end.peak_memory_bytes


@contextlib.contextmanager
def _surroundings(task: Task, entry: CatalogEntry) -> Iterator[None]:
    """Let user code work in the folder that the analysis asks for, and find its results folder by a variable."""
    scratch = task.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    tempfile.tempdir = str(scratch)
    before, variable = Path.cwd(), os.environ.get(RESULTS_VARIABLE)
    os.environ[RESULTS_VARIABLE] = str(task.results)
    os.chdir(task.results if entry.analysis.working_folder == "results" else scratch)
    try:
        yield
    finally:
        os.chdir(before)
        tempfile.tempdir = None
        if variable is None:
            del os.environ[RESULTS_VARIABLE]
        else:
            os.environ[RESULTS_VARIABLE] = variable


class _Opened:
    """The inputs of one job: opened at most once, described for provenance."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._paths: tuple[Path, ...] | None = None
        self.facts: tuple[InputFile, ...] = ()

    def open(self) -> tuple[Path, ...]:
        """Make the inputs available; the second call returns what the first one made."""
        if self._paths is None:
            inputs, folder = self._task.inputs, self._task.folder / "inputs"
            folder.mkdir()
            urls = self._task.files or tuple(inputs.resolve(url) for url in self._task.locations)
            fetched = [inputs.fetch(url, folder) for url in urls]
            self._paths = tuple(path for path, _ in fetched)
            self.facts = tuple(fact for _, fact in fetched)
        return self._paths

    def check_unchanged(self) -> None:
        """Refuse a result whose local inputs changed while it was computed."""
        for fact in self.facts:
            self._task.inputs.check(fact)

    def sessions(self) -> tuple[Session, ...]:
        """Read subject and session of each opened input; an input that is no NWB file has neither."""
        found = []
        for path in self._paths or ():
            with contextlib.suppress(InputError):
                found.append(describe_session(path))
        return tuple(found)


def _describe(error: BaseException) -> JobError:
    """Turn what user code raised into what the ledger keeps; prints the traceback to the job's log too."""
    if isinstance(error, CommandFailedError):
        sys.stderr.write(f"{error.traceback}{error}\n")
        return JobError(
            kind=error.kind,
            message=_storable(str(error)),
            permanent=not error.transient,
            traceback=_storable(error.traceback),
        )
    chain = not isinstance(error, PlatformError)  # what our own errors come from is our own business
    told = "".join(traceback.format_exception(type(error), error, user_frames(error), chain=chain))
    sys.stderr.write(told)
    kind = next((kind for kinds, kind in _KINDS if isinstance(error, kinds)), "exception")
    transient = isinstance(error, TransientError | ConnectionError | TimeoutError)
    name = "" if isinstance(error, PlatformError) else f"{type(error).__name__}: "
    message, trace = _storable(f"{name}{error}"), _storable(told)
    return JobError(kind=kind, message=message, permanent=not transient, traceback=trace)


def _storable(text: str) -> str:
    """Shorten what user code said, and replace what is no Unicode: the ledger takes neither endless nor broken text."""
    clean = text.encode("utf-8", errors="replace").decode()
    if len(clean) <= TEXT_CHARACTERS:
        return clean
    half = TEXT_CHARACTERS // 2
    return f"{clean[:half]}\n[... {len(clean) - 2 * half} characters left out ...]\n{clean[-half:]}"


def user_frames(error: BaseException) -> TracebackType | None:
    """Skip the platform's own frames in front, so that a scientist sees the traceback of the analysis."""
    trace = error.__traceback__
    while trace is not None and _is_machinery(Path(trace.tb_frame.f_code.co_filename)):
        trace = trace.tb_next
    return trace


def _is_machinery(file: Path) -> bool:
    """Tell whether a frame's code is the platform's and not an analysis's."""
    here = Path(__file__).parent
    return (file.parent == here and file.name.startswith("_")) or file.parent in {here.parent / "commands", _WORDS}


@lru_cache(maxsize=4)
def _load(path: Path) -> CatalogEntry:
    """Load the analysis once per worker."""
    return load_analysis(path)


@contextlib.contextmanager
def _captured(task: Task) -> Iterator[None]:
    """Send everything this process prints to the job's log."""
    saved = os.dup(1), os.dup(2)
    with task.log.open("ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        with _stream(1) as out, _stream(2) as err, redirect_stdout(out), redirect_stderr(err):
            yield
    finally:
        ctypes.CDLL(None).fflush(None)  # what C code has printed belongs to this job, not to the next one
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def _stream(number: int) -> TextIO:
    """Open a stream for one job, which may close it; by lines, so that a crash loses none."""
    return os.fdopen(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _end_group(_number: int, _frame: FrameType | None) -> None:
    """End this process and everything it started."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


def log_tail(log: Path) -> str:
    """Return the end of a job's log."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace").replace("\0", "")
