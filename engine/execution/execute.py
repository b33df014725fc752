"""Executes the user code of one job in a private folder."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from domain.failures import JobError
from domain.job.state import LedgerEntry
from domain.result.provenance import Provenance
from engine.execution.context import RunContext
from engine.execution.environment import RunEnvironment
from engine.execution.metadata import read_metadata
from engine.execution.outcome import Outcome
from engine.execution.provenance import Execution, provenance_of_execution
from engine.execution.publish import build_manifest, result_files
from engine.worker.task import Task, Work


@dataclass(frozen=True)
class JobExecution:
    """One execution of a job.

    Attributes
    ----------
    context : RunContext
        State that all attempts of the run share.
    job : LedgerEntry
        The ledger's entry of the job when it was claimed.
    attempt_id : str
        Name of the private folder, locally and in the result store.
    """

    context: RunContext
    job: LedgerEntry
    attempt_id: str

    @property
    def location(self) -> str:
        """S3 folder that receives the result's files."""
        return self.context.services.results.location(self.context.result_id(self.job), self.attempt_id)

    @contextmanager
    def running(self) -> Iterator[tuple[Task, Work | JobError]]:
        """Execute user code and yield its outcome; the private folder exists until the context ends."""
        folder = self.context.folder / self.attempt_id
        folder.mkdir()
        try:
            task = self._task()
            yield task, self.context.pool.run(task)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def provenance(
        self,
        work: Work,
        manifest: dict[str, Any],
        environment: RunEnvironment,
        *,
        listing_sha256: str,
        why: str = "",
    ) -> Provenance:
        """Return all facts about the result.

        Parameters
        ----------
        work : Work
            Outcome returned by the worker.
        manifest : dict
            Paths, sizes and digests of the files.
        environment : RunEnvironment
            Environment of the run.
        listing_sha256 : str
            Digest of their listing in the result store; empty if they are not there.
        why : str
            Why it is a new result; empty if unknown.
        """
        context, job = self.context, self.job
        execution = Execution(
            attempt=self.attempt_id,
            location=self.location,
            run_id=context.run.run_id,
            work=work,
            manifest=manifest,
            listing_sha256=listing_sha256,
            code=context.code.facts,
            reason=context.force_reason(job),
            why=why,
            environment=environment.facts,
        )
        return provenance_of_execution(context.entry, job, execution)

    def _task(self) -> Task:
        entry, inputs = self.context.entry, self.job.stored_job.inputs
        return Task(
            analysis_file=entry.path,
            code_version=entry.code_version,
            locations=inputs.spelled_locations,
            files=inputs.spelled_files,
            parameters=self.job.parameters,
            folder=self.context.folder / self.attempt_id,
            inputs=self.context.services.inputs.reader,
            transient=entry.analysis.retry.transient,
            metadata=read_metadata(entry.analysis, self.job.stored_job, self.job.sources, self.context.services.assets),
        )


def dry_run(context: RunContext, job: LedgerEntry) -> Outcome:
    """Execute a job without a claim, and discard its files."""
    execution = JobExecution(context, job, str(uuid.uuid4()))
    with execution.running() as (task, work):
        if isinstance(work, JobError):
            return Outcome(job.job_key, "failed", error=work)
        manifest = build_manifest(task.results, result_files(task.results), log=task.log)
        return Outcome(
            job.job_key,
            "dry_run",
            provenance=execution.provenance(work, manifest, context.environment, listing_sha256=""),
        )
