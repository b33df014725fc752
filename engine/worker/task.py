"""Runs one job: loads the analysis, opens its inputs, calls it, and validates its outputs.

It is called by a worker process (`engine.worker.process`), and by ``analysis try`` in the foreground. It writes only
below the job's private folder.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from domain.analysis import AnalysisJob
from domain.analysis.parameters import validate_stored
from domain.command import Command
from domain.errors import CodeChangedError, InputChangedError, InputError, error_context
from domain.job.inputs import InputFile
from domain.job.metadata import JobMetadata, MetadataDigest
from domain.result.environment import NumericFacts
from domain.result.provenance import ResourceFacts, TableRows
from engine.discovery.analyses import AnalysisEntry, load_analysis
from engine.worker.command import CommandJob, run_command
from engine.worker.numerics import numeric_facts
from engine.worker.outputs import checked_outputs
from engine.worker.resource_usage import cpu_s, reset_peak_memory, resource_facts
from engine.worker.tables import checked_tables
from resources.environment import variable
from resources.inputs.reader import InputReader
from resources.inputs.urls import shown_url
from resources.nwb import Session, describe_session
from resources.nwb_files.names import named_inputs

LOG_NAME = "analysis.log"
RESULTS_VARIABLE = "RESULTS_DIR"


@dataclass(frozen=True)
class Task:
    """The data that a worker needs for one job.

    Attributes
    ----------
    analysis_file : Path
        Path of the analysis file.
    code_version : str
        Expected code version; another one raises.
    locations, files : tuple of str
        Inputs of the job, in the spelling of the job file.
    parameters : dict
        Validated parameters, as stored.
    folder : Path
        Private folder of the job.
    inputs : InputReader
        Reader of the inputs.
    transient : tuple of str
        Exceptions that the analysis declares as transient.
    metadata : JobMetadata or None
        Metadata that the analysis declares.
    """

    analysis_file: Path
    code_version: str
    locations: tuple[str, ...]
    files: tuple[str, ...]
    parameters: dict[str, Any]
    folder: Path
    inputs: InputReader
    transient: tuple[str, ...] = ()
    metadata: JobMetadata | None = None

    @property
    def results(self) -> Path:
        """Folder of result files."""
        return self.folder / "results"

    @property
    def log(self) -> Path:
        """File with the output of the analysis."""
        return self.folder / LOG_NAME

    @property
    def pid_file(self) -> Path:
        """File with the id of the executing process, whose group ends with the job."""
        return self.folder / "pid"


@dataclass(frozen=True)
class Work:
    """The outcome of a successful job."""

    outputs: dict[str, Any]
    not_finite: tuple[str, ...]
    inputs: tuple[InputFile, ...]
    sessions: tuple[Session, ...]
    started: datetime
    ended: datetime
    resources: ResourceFacts
    tables: tuple[TableRows, ...] = ()
    numeric: NumericFacts = field(default_factory=NumericFacts)
    metadata: tuple[MetadataDigest, ...] = ()


def run_task(task: Task, *, alone: bool = True) -> Work:
    """Run the analysis, and validate its outputs; inputs are opened on request.

    Parameters
    ----------
    task : Task
        The job; its folder and its results folder must exist.
    alone : bool
        This process runs nothing else: its working folder and its variables are set as the analysis requests.

    Returns
    -------
    Work
        Outputs, tables, inputs and resource usage.

    Raises
    ------
    CodeChangedError
        If the code version of the analysis is not the expected one.
    Exception
        Any exception of user code, and errors of its inputs or outputs.
    """
    with error_context(analysis=task.analysis_file.stem):
        return _run(task, alone=alone)


def _run(task: Task, *, alone: bool) -> Work:
    entry = load_once(task.analysis_file)
    if entry.code_version != task.code_version:
        msg = (
            f"{task.analysis_file} changed while the run was using it: the run announced {task.code_version}, "
            f"the file is now {entry.code_version}. The job is tried again with the new code by the next run."
        )
        raise CodeChangedError(msg, location=str(task.analysis_file))
    opened = _Opened(task)
    metadata = () if task.metadata is None else task.metadata.digests()  # first: user code could change the records
    parameters = validate_stored(entry.analysis, task.parameters)
    with opened.guarded(), _surroundings(task, entry) if alone else contextlib.nullcontext():
        reset_peak_memory()
        cpu_before, started = cpu_s(), datetime.now(UTC)
        returned, peak_memory_bytes = _call(entry, task, opened, parameters)
        ended = datetime.now(UTC)
        used = resource_facts(cpu_s() - cpu_before, peak_memory_bytes)
        numeric = numeric_facts(entry.analysis.run if isinstance(entry.analysis.run, Command) else None)
        sessions = opened.sessions()
    outputs, not_finite = checked_outputs(entry.analysis, returned)
    tables = checked_tables(entry.analysis, task.results)
    return Work(outputs, not_finite, opened.facts, sessions, started, ended, used, tables, numeric, metadata)


def _call(entry: AnalysisEntry, task: Task, opened: "_Opened", parameters: Any) -> tuple[Any, int | None]:
    """Call the function, or run the command; return its outputs, and the peak memory of a command."""
    run = entry.analysis.run
    if not isinstance(run, Command):
        job = AnalysisJob(locations=task.locations, files=task.files, opener=opened.open, metadata=task.metadata)
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
        metadata=task.metadata,
    )
    end = run_command(run, task.analysis_file.parent, job_of_command)
    return end.outputs, end.peak_memory_bytes


@contextlib.contextmanager
def _surroundings(task: Task, entry: AnalysisEntry) -> Iterator[None]:
    """Set the working folder, and the variable with the results folder, for user code."""
    scratch = task.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    tempfile.tempdir = str(scratch)
    before = Path.cwd()
    os.chdir(task.results if entry.analysis.working_folder == "results" else scratch)
    try:
        with variable(RESULTS_VARIABLE, str(task.results)):
            yield
    finally:
        os.chdir(before)
        tempfile.tempdir = None


class _Opened:
    """The inputs of one job: opened at most once, and described for provenance."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._paths: tuple[Path, ...] | None = None
        self._stamps: tuple[str | None, ...] = ()
        self._names = contextlib.ExitStack()
        self.facts: tuple[InputFile, ...] = ()

    def open(self) -> tuple[Path, ...]:
        """Return local paths of the inputs; they are opened by the first call."""
        if self._paths is None:
            inputs, folder = self._task.inputs, self._task.folder / "inputs"
            folder.mkdir()
            urls = self._task.files or tuple(inputs.resolve(url) for url in self._task.locations)
            self._stamps = tuple(inputs.stamp(url) for url in urls)
            fetched = [inputs.fetch(url, folder) for url in urls]
            self._paths = tuple(path for path, _ in fetched)
            self.facts = tuple(fact for _, fact in fetched)
            names = {path: shown_url(url) for path, url in zip(self._paths, urls, strict=True)}
            self._names.enter_context(named_inputs(names))
        return self._paths

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise if local inputs changed inside, also where the change itself has caused an exception."""
        with self._names:
            try:
                yield
            except Exception as error:
                try:
                    self.check_unchanged()
                except InputChangedError as changed:
                    raise changed from error
                raise
            self.check_unchanged()

    def check_unchanged(self) -> None:
        """Raise if local inputs changed since they were opened."""
        for fact, stamp in zip(self.facts, self._stamps, strict=True) if self.facts else ():
            self._task.inputs.check(fact, stamp=stamp)

    def sessions(self) -> tuple[Session, ...]:
        """Return subjects and sessions of the opened inputs; an input that is not an NWB file has none."""
        found = []
        for path in self._paths or ():
            with contextlib.suppress(InputError):
                found.append(describe_session(path))
        return tuple(found)


@lru_cache(maxsize=4)
def load_once(path: Path) -> AnalysisEntry:
    """Load an analysis once per worker."""
    return load_analysis(path)
