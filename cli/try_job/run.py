"""`analysis try`: one job, here and now, in the foreground. No server, no claim, and nothing is posted.

It runs what a worker process runs, in this process, so that a debugger and a traceback are at hand. Nothing here
imports Dagster: user code begins within two seconds.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.analysis.checks import Verdict, verdicts
from domain.analysis.parameter_files import read_fixed_parameters
from domain.job.stored import StoredJob, ingest
from engine.discovery.analyses import ANALYSES_FOLDER, AnalysisEntry, load_named
from engine.worker.task import Task, Work, run_task
from operations.targets import read_file, read_target
from resources.inputs.reader import InputReader
from resources.s3.server import S3Server
from resources.settings import Settings


@dataclass(frozen=True)
class Trial:
    """A job that is ready to be tried.

    Attributes
    ----------
    entry : AnalysisEntry
        The analysis.
    job : StoredJob
        The job, as the platform would take it in.
    task : Task
        What is run, and where.
    """

    entry: AnalysisEntry
    job: StoredJob
    task: Task

    @property
    def figure(self) -> Path | None:
        """The figure, once it is there."""
        path = self.task.results / self.entry.analysis.figure if self.entry.analysis.figure else None
        return path if path is not None and path.is_file() else None

    def run(self) -> Work:
        """Run the job in this process.

        Raises
        ------
        Exception
            Whatever the analysis raises.
        """
        return run_task(self.task)

    def verdicts(self, work: Work) -> list[Verdict]:
        """Ask the declared checks."""
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
    """Read a job and make room for it.

    Parameters
    ----------
    name : str
        The analysis.
    target : str
        A job file, or an NWB file as path or URL.
    settings : Settings
        Where the platform's folder is, and how inputs in S3 are reached.
    by_hand : dict
        Parameter values given by hand.
    fixed_file : Path, optional
        Fixed parameters.
    folder : Path
        Where the analyses are.

    Returns
    -------
    Trial
        The job; its folder ``<ANALYSIS_HOME>/try/<name>`` is empty, and what an earlier try left there is gone.

    Raises
    ------
    PermanentError
        If the analysis or the job is refused.
    """
    entry = load_named(name, folder)
    fixed = {} if fixed_file is None else read_fixed_parameters(read_file(fixed_file), name=str(fixed_file)).fixed
    job, _ = ingest(entry.analysis, read_target(target), name=target, fixed=fixed, by_hand=by_hand)
    place = settings.analysis_home / "try" / name
    shutil.rmtree(place, ignore_errors=True)
    task = Task(
        analysis_file=entry.path,
        code_version=entry.code_version,
        locations=job.inputs.spelled_locations,
        files=job.inputs.spelled_files,
        parameters=job.parameters,
        folder=place,
        inputs=_reader(settings),
    )
    task.results.mkdir(parents=True)
    return Trial(entry, job, task)


def _reader(settings: Settings) -> InputReader:
    """Return what reads inputs: as the platform does, but the embedded server only where it is already needed."""
    home = str(settings.analysis_home) if settings.embedded_s3 else None
    server = S3Server(endpoint_url=settings.s3_endpoint_url, embedded_home=home)
    return InputReader(server, settings.input_s3_endpoint_url, settings.input_s3_unsigned)
