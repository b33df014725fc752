"""`analysis try`: runs one job in the foreground. It needs no server, claims nothing and stores nothing.

It runs the code of a worker process in this process, so that a debugger can be used. Dagster is not imported, so that
user code starts within two seconds.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.analysis import Analysis
from domain.analysis.checks import Verdict, verdicts
from domain.analysis.parameter_files import read_fixed_parameters
from domain.job.metadata import JobMetadata
from domain.job.stored import Source, StoredJob, ingest
from engine.discovery.analyses import ANALYSES_FOLDER, AnalysisEntry, load_named
from engine.worker.task import Task, Work, run_task
from operations.targets import read_file, read_target
from resources.inputs.reader import InputReader
from resources.s3.server import S3Server
from resources.settings import Settings


@dataclass(frozen=True)
class Trial:
    """A job that is ready to run.

    Attributes
    ----------
    entry : AnalysisEntry
        Analysis of the job.
    job : StoredJob
        The job, as the platform would ingest it.
    task : Task
        Code, parameters and folders of the execution.
    """

    entry: AnalysisEntry
    job: StoredJob
    task: Task

    @property
    def figure(self) -> Path | None:
        """Path of the figure; None if it does not exist."""
        path = self.task.results / self.entry.analysis.figure if self.entry.analysis.figure else None
        return path if path is not None and path.is_file() else None

    def run(self) -> Work:
        """Run the job in this process.

        Raises
        ------
        Exception
            Any exception that the analysis raises.
        """
        return run_task(self.task)

    def verdicts(self, work: Work) -> list[Verdict]:
        """Return the results of the declared checks."""
        return verdicts(self.entry.analysis.checks, self.entry.analysis.outputs, work.outputs)


def prepare(
    name: str,
    target: str,
    *,
    settings: Settings,
    by_hand: dict[str, Any],
    fixed_file: Path | None = None,
    folder: Path = ANALYSES_FOLDER,
) -> Trial:
    """Read a job and create its folder.

    Parameters
    ----------
    name : str
        Name of the analysis.
    target : str
        A job file, or an NWB file as path or URL.
    settings : Settings
        Home folder, and access to inputs in S3.
    by_hand : dict
        Parameter values from ``--set``, by name.
    fixed_file : Path, optional
        Fixed parameters to use instead of the inbox's.
    folder : Path
        Folder of the analysis files.

    Returns
    -------
    Trial
        The job; its folder ``<ANALYSIS_HOME>/try/<name>`` is emptied.

    Raises
    ------
    PermanentError
        If the analysis or the job is invalid.
    """
    entry = load_named(name, folder)
    fixed = {} if fixed_file is None else read_fixed_parameters(read_file(fixed_file), name=str(fixed_file)).fixed
    job, source = ingest(entry.analysis, read_target(target), name=target, fixed=fixed, by_hand=by_hand)
    work_folder = settings.analysis_home / "try" / name
    shutil.rmtree(work_folder, ignore_errors=True)
    task = Task(
        analysis_file=entry.path,
        code_version=entry.code_version,
        locations=job.inputs.spelled_locations,
        files=job.inputs.spelled_files,
        parameters=job.parameters,
        folder=work_folder,
        inputs=_reader(settings),
        metadata=_metadata(entry.analysis, job, source, settings),
    )
    task.results.mkdir(parents=True)
    return Trial(entry, job, task)


def _metadata(analysis: Analysis, job: StoredJob, source: Source, settings: Settings) -> JobMetadata | None:
    """Return the metadata that an analysis declares; only for such an analysis, the metadata database is read."""
    if not analysis.input_metadata:
        return None
    from engine.execution.metadata import read_metadata  # imports Dagster
    from resources.connections import connect

    return read_metadata(analysis, job, [source], connect(settings).asset_records)


def _reader(settings: Settings) -> InputReader:
    """Return the input reader of the platform, which starts the embedded server only for inputs in it."""
    home = str(settings.analysis_home) if settings.embedded_s3 else None
    server = S3Server(endpoint_url=settings.s3_endpoint_url, embedded_home=home)
    return InputReader(server, settings.input_s3_endpoint_url, settings.input_s3_unsigned)
