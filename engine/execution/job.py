"""One job of a run, from its key to its outcome; a thread of the run's process takes one job at a time.

The order of steps is the contract: reuse, claim, commit what an earlier attempt left complete, execute, upload,
manifest and record as files, and last the record, which is the commit point.
"""

import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from domain.failures import JobError
from domain.job.identity import result_id
from domain.job.state import JobState, LedgerEntry
from domain.job.stored import verify
from domain.result.provenance import CodeFacts, Provenance
from domain.result.records import to_record
from domain.retry import Decision, decide
from engine.assets.builtin_checks import after_listing, after_upload, without_looking
from engine.discovery.analyses import AnalysisEntry
from engine.discovery.source import code_facts
from engine.execution.claims import Claims
from engine.execution.outcome import Outcome, OutcomeKind, RunFacts, Services, error_of
from engine.execution.provenance import Execution, other_code, provenance_of_execution
from engine.execution.publish import (
    Replacement,
    build_manifest,
    commit,
    complete_attempt,
    differences,
    listing_digest,
    manifest_of,
    read_record,
    result_files,
    stored_figure,
    upload,
    write_documents,
)
from engine.worker.pool import WorkerPool
from engine.worker.task import Task, Work
from resources.process import person
from resources.records.earlier import nearest_earlier
from resources.records.store import attempt_of


@dataclass
class JobRunner:
    """Brings single jobs to their end.

    Attributes
    ----------
    entry : AnalysisEntry
        The analysis.
    services : Services
        The outside systems.
    run : RunFacts
        How the run was asked for.
    pool : WorkerPool
        Where user code runs.
    folder : Path
        The run's local folder.
    stopping : threading.Event
        Set when the run is to end.
    claims : Claims
        The run's claims on jobs.
    halted : threading.Event
        Set when no further job is to be begun; those at work are finished.
    """

    entry: AnalysisEntry
    services: Services
    run: RunFacts
    pool: WorkerPool
    folder: Path
    stopping: threading.Event
    claims: Claims
    halted: threading.Event = field(default_factory=threading.Event)
    _with_record: set[str] = field(default_factory=set)

    def look_up(self, jobs: Iterable[LedgerEntry]) -> None:
        """Ask once for all jobs of a run which of them have a record; the others need not ask before their claim."""
        self._with_record = self.services.records.existing(self._result_id(job) for job in jobs)

    def work_off(self, job_key: str, job: LedgerEntry | None) -> Outcome:
        """Bring one job to its end.

        Parameters
        ----------
        job_key : str
            The partition.
        job : LedgerEntry or None
            What the ledger knows under it.

        Raises
        ------
        ServerUnavailableError
            If not even the failure can be recorded.
        """
        if job is None:
            message = f"No job is stored under {job_key}: submit its job file again, or delete the partition."
            return Outcome(job_key, "failed", error=JobError(kind="unknown_job", message=message, permanent=True))
        if job.state is JobState.FAILED and not self.run.by_hand:
            return Outcome(job_key, "failed", error=job.error)
        try:
            verify(self.entry.analysis, job.stored_job)
            return self._dry_run(job) if self.run.dry_run else self._reuse_or_compute(job)
        except Exception as error:  # noqa: BLE001  one bad job must not end the others of the run
            return self._refused(job, error_of(error))

    def _reuse_or_compute(self, job: LedgerEntry) -> Outcome:
        """Take the result that is there if its files are what was published; otherwise make one."""
        result = self._result_id(job)
        record = self.services.records.get(result) if result in self._with_record else None
        notes: tuple[str, ...] = ()
        if record is not None and not self._force_reason(job):
            found = read_record(record, job)
            changed = differences(self.services.results, found)
            if not changed:
                figure, verdicts = stored_figure(self.services.results, found), after_listing(record, found)
                return Outcome(job.job_key, "reused", provenance=found, figure=figure, verdicts=verdicts)
            notes = (
                f"The files of {found.location} are not what was published: {'; '.join(changed)}. Computing again.",
            )
        return self._compute(job, record, notes)

    def _compute(self, job: LedgerEntry, old: dict[str, Any] | None, notes: tuple[str, ...]) -> Outcome:
        """Claim a job and execute it, again after a transient fault, as often as its policy allows."""
        retry = self.entry.analysis.retry
        number = 1
        while True:
            attempt = str(uuid.uuid4())
            claimed = None if self.stopping.is_set() or self.halted.is_set() else self._claim(job, attempt)
            if claimed is None:
                return Outcome(job.job_key, "put_off")
            outcome = self._attempt(claimed, attempt, old, notes)
            if self.claims.is_lost(attempt):
                return self._after_loss(claimed, attempt)
            if outcome.error is None:
                return outcome
            decision = decide(retry, outcome.error, attempt=number, rounds=job.rounds)
            if decision.action == "requeue":
                self.claims.release(attempt)
                return outcome
            if decision.action != "repeat" or self.stopping.is_set():
                self._give_up(attempt, outcome.error, decision)
                return outcome
            self.claims.release(attempt)
            notes = (*notes, f"Attempt {number} failed and is repeated: {outcome.error.message}")
            self.stopping.wait(decision.wait_s)
            number += 1

    def _claim(self, job: LedgerEntry, attempt: str) -> LedgerEntry | None:
        """Claim a job from any state in which nobody works on it."""
        states = [JobState.NEW, JobState.DONE] + ([JobState.FAILED] if self.run.by_hand else [])
        return self.claims.claim(job, attempt, states)

    def _after_loss(self, job: LedgerEntry, attempt: str) -> Outcome:
        """Leave a job to whoever has it now; one that a person ended has failed."""
        self.claims.drop(attempt)
        now = self.services.ledger.get(job.analysis, job.job_key)
        if now is not None and now.state is JobState.FAILED:
            return Outcome(job.job_key, "failed", error=now.error)
        return Outcome(job.job_key, "put_off")

    def _attempt(self, job: LedgerEntry, attempt: str, old: dict[str, Any] | None, notes: tuple[str, ...]) -> Outcome:
        """Make one execution of a claimed job, from its private folder to its record."""
        try:
            current = self.services.records.get(self._result_id(job))
            if current is not None and (old is None or attempt_of(current) != attempt_of(old)):
                return self._published(job, current, "reused", attempt, notes)  # finished just before our claim
            recovered = self._recover(job, attempt) if current is None else None
            if recovered is not None:
                return self._published(job, recovered, "computed", attempt, notes)
            with self._executed(job, attempt) as (task, work):
                if isinstance(work, JobError):
                    return Outcome(job.job_key, "failed", error=work, attempt=attempt, notes=notes)
                return self._publish(job, attempt, (task, work), current, notes)
        except Exception as error:  # noqa: BLE001  likewise
            return Outcome(job.job_key, "failed", error=error_of(error), attempt=attempt, notes=notes)

    def _publish(
        self,
        job: LedgerEntry,
        attempt: str,
        executed: tuple[Task, Work],
        old: dict[str, Any] | None,
        notes: tuple[str, ...],
    ) -> Outcome:
        """Upload what a worker made and commit its record."""
        task, work = executed
        results = self.services.results
        names = result_files(task.results)
        location = results.location(self._result_id(job), attempt)
        stored = upload(results, location, task.results, names, log=task.log)
        manifest = manifest_of(stored, log=task.log)
        provenance = self._provenance(job, attempt, work, manifest, listing_digest(stored), why=self._why_new(job))
        record = to_record(provenance)
        write_documents(results, record, manifest)
        if not self.claims.holds(attempt):
            results.discard(location)
            return Outcome(job.job_key, "put_off")
        replacement = None if old is None else Replacement(old, *self._why(job, notes))
        winner = commit(record, results=results, records=self.services.records, replacement=replacement)
        if attempt_of(winner) != attempt:
            return self._published(job, winner, "reused", attempt, notes)
        figure = self._local_figure(task.results)
        notes = (*notes, *other_code(provenance.code))
        return Outcome(
            job.job_key,
            "computed",
            provenance=provenance,
            figure=figure,
            attempt=attempt,
            notes=notes,
            attempts=job.attempts,
            verdicts=after_upload(record, provenance),
        )

    def _recover(self, job: LedgerEntry, attempt: str) -> dict[str, Any] | None:
        """Commit an earlier attempt that has everything but its record."""
        if job.attempt_number <= 1:
            return None
        results, records = self.services.results, self.services.records
        result = self._result_id(job)
        left_out = records.superseded_attempts(result) | {attempt}
        for earlier in results.complete_attempts(result):
            record = None if earlier in left_out else complete_attempt(results, result, earlier)
            if record is not None:
                return commit(record, results=results, records=records)
        return None

    def _dry_run(self, job: LedgerEntry) -> Outcome:
        """Execute a job and keep nothing."""
        attempt = str(uuid.uuid4())
        with self._executed(job, attempt) as (task, work):
            if isinstance(work, JobError):
                return Outcome(job.job_key, "failed", error=work)
            manifest = build_manifest(task.results, result_files(task.results), log=task.log)
            return Outcome(job.job_key, "dry_run", provenance=self._provenance(job, attempt, work, manifest, ""))

    @contextmanager
    def _executed(self, job: LedgerEntry, attempt: str) -> Iterator[tuple[Task, Work | JobError]]:
        """Run user code in a private folder, which lasts as long as the context."""
        folder = self.folder / attempt
        folder.mkdir()
        inputs = job.stored_job.inputs
        task = Task(
            analysis_file=self.entry.path,
            code_version=self.entry.code_version,
            locations=inputs.spelled_locations,
            files=inputs.spelled_files,
            parameters=job.parameters,
            folder=folder,
            inputs=self.services.inputs.reader,
            transient=self.entry.analysis.retry.transient,
        )
        try:
            yield task, self.pool.run(task)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _why_new(self, job: LedgerEntry) -> str:
        """Say what tells this result from the nearest earlier one."""
        found = nearest_earlier(self.services.records, job.stored_job, self.entry.code_version)
        return f"First result of `{job.analysis}`." if found is None else f"New: {found.words()}."

    def _provenance(
        self, job: LedgerEntry, attempt: str, work: Work, manifest: dict[str, Any], listing_sha256: str, why: str = ""
    ) -> Provenance:
        """Put together everything that is known about a result."""
        execution = Execution(
            attempt=attempt,
            location=self.services.results.location(self._result_id(job), attempt),
            run_id=self.run.run_id,
            work=work,
            manifest=manifest,
            listing_sha256=listing_sha256,
            code=self._code,
            reason=self._force_reason(job),
            why=why,
        )
        return provenance_of_execution(self.entry, job, execution)

    def _published(
        self, job: LedgerEntry, record: dict[str, Any], kind: OutcomeKind, attempt: str, notes: tuple[str, ...]
    ) -> Outcome:
        """Describe a result that is stored."""
        found = read_record(record, job)
        figure = stored_figure(self.services.results, found)
        verdicts = after_listing(record, found) if kind == "computed" else without_looking(record)
        return Outcome(
            job.job_key, kind, provenance=found, figure=figure, attempt=attempt, notes=notes, verdicts=verdicts
        )

    def _refused(self, job: LedgerEntry, error: JobError) -> Outcome:
        """Record the failure of a job that was not claimed; a finished one stays what it is while a server is away."""
        if not self.run.dry_run and (error.permanent or job.state is not JobState.DONE):
            told = {"code_version": self.entry.code_version, "error": error.model_dump()}
            decision = decide(self.entry.analysis.retry, error, attempt=None, rounds=job.rounds)
            self.services.ledger.settle(job, state=JobState.FAILED, retry_in_s=decision.retry_in_s, **told)
        return Outcome(job.job_key, "failed", error=error)

    def _give_up(self, attempt: str, error: JobError, decision: Decision) -> None:
        """Record the failure of a claimed job; one that was stopped with its run is given back later instead."""
        if not self.stopping.is_set():
            self.claims.fail(attempt, error, retry_in_s=decision.retry_in_s)

    def _result_id(self, job: LedgerEntry) -> str:
        """Return the id of the result that the current code makes of a job."""
        return result_id(self.entry.analysis.name, self.entry.code_version, job.job_key)

    def _force_reason(self, job: LedgerEntry) -> str:
        """Return why this job is to be computed again, or nothing."""
        return self.run.force_reason or (job.force.reason if job.force else "")

    def _why(self, job: LedgerEntry, notes: tuple[str, ...]) -> tuple[str, str]:
        """Return who replaces a record, and why."""
        if job.force is not None and not self.run.force_reason:
            return job.force.who, job.force.reason
        return person(), self.run.force_reason or " ".join(notes)

    def _local_figure(self, folder: Path) -> bytes | None:
        """Return the figure that was just made."""
        path = folder / self.entry.analysis.figure if self.entry.analysis.figure else None
        return path.read_bytes() if path is not None and path.is_file() else None

    @cached_property
    def _code(self) -> CodeFacts:
        """The repository's state when it was first asked for."""
        return code_facts(self.entry.analysis, self.entry.path)
