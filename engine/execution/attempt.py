"""One attempt at a job, from its claim to its outcome.

The order of steps is the contract: claim, finish the commit of a lost run, use a record that was committed
meanwhile, commit a complete earlier attempt, execute, upload, check the claim, manifest and record as files,
check the claim again and announce the commit, and last the record, which is the commit point.

The first check keeps an attempt that has lost its job from becoming complete: another run would commit it. From then on its
files are deleted only if another attempt's record exists. The second check and a cancellation exclude each other.
"""

import uuid
from dataclasses import dataclass
from typing import Any, Self

from domain.errors import ResultChangedError
from domain.failures import JobError
from domain.job.state import Commit, JobState, LedgerEntry
from domain.result.provenance import Provenance
from domain.result.records import to_record
from domain.retry import is_transient
from engine.assets.builtin_checks import after_listing, after_upload, without_looking
from engine.execution.context import RunContext
from engine.execution.execute import JobExecution
from engine.execution.outcome import Outcome, OutcomeKind, error_of
from engine.execution.provenance import other_code
from engine.execution.publish import (
    commit,
    complete_attempt,
    earlier_attempt,
    listing_digest,
    manifest_of,
    read_record,
    result_files,
    stored_figure,
    upload,
    write_documents,
)
from engine.worker.task import Task, Work
from resources.process import person
from resources.records.earlier import nearest_earlier
from resources.records.reader import attempt_of


@dataclass(frozen=True)
class Attempt:
    """One attempt that has claimed its job. `run` never raises: the outcome contains the error.

    Attributes
    ----------
    context : RunContext
        State that all attempts of the run share.
    job : LedgerEntry
        The ledger's entry of the job when it was claimed.
    attempt_id : str
        Identifies the claim, the private folder and the files of this attempt.
    seen : dict or None
        Record that the run read before the claim and is to replace.
    notes : tuple of str
        Notes for the operator, from before this attempt.
    """

    context: RunContext
    job: LedgerEntry
    attempt_id: str
    seen: dict[str, Any] | None
    notes: tuple[str, ...]

    @classmethod
    def claim(
        cls, context: RunContext, job: LedgerEntry, seen: dict[str, Any] | None, notes: tuple[str, ...]
    ) -> Self | None:
        """Claim a job from any state in which no run has it; a failed one only if it had failed when the run read it.

        Returns
        -------
        Attempt or None
            None if another run has the job, or this run claims no further jobs.
        """
        if context.stopping.is_set() or context.halted.is_set():
            return None
        attempt_id = str(uuid.uuid4())
        has_failed = context.run.by_hand and job.state is JobState.FAILED
        states = [JobState.NEW, JobState.DONE] + ([JobState.FAILED] if has_failed else [])
        claimed = context.claims.claim(job, attempt_id, states)
        return None if claimed is None else cls(context, claimed, attempt_id, seen, notes)

    def run(self) -> Outcome:
        """Execute the steps in order. Keeps the claim, because a result is reported to Dagster before the ledger."""
        try:
            is_done = self._finish_commit()
            current = self.context.services.records.get(self._result_id)
            if current is not None and self._is_answer(current):  # finished just before the claim
                return self._published(current, "reused") if self._announce(current) else self._deferred()
            if self.job.committing is not None:
                self._end_commit(self.job.committing, is_done=is_done)
            earlier = self._earlier_attempt(current)
            if earlier is not None:
                winner = self._commit_earlier(earlier, current)
                if winner is not None:
                    return self._published(winner, "computed")
                if self.is_lost:
                    return self._deferred()
                current = self.context.services.records.get(self._result_id)
            execution = JobExecution(self.context, self.job, self.attempt_id)
            with execution.running() as (task, work):
                if isinstance(work, JobError):
                    return self._failed(work)
                return self._publish(execution, task, work, current)
        except Exception as error:  # noqa: BLE001  an error in one job must not end the others of the run
            return self._failed(error_of(error))

    @property
    def is_lost(self) -> bool:
        """Whether the attempt was found to have lost its job."""
        return self.context.claims.is_lost(self.attempt_id)

    def abandon(self) -> Outcome:
        """Return the outcome for a lost job: deferred to the run that has it now, or failed if an operator ended it."""
        job = self.job
        self.context.claims.drop(self.attempt_id)
        now = self.context.services.ledger.jobs.get(job.analysis, job.job_key)
        if now is not None and now.state is JobState.FAILED:
            return Outcome(job.job_key, "failed", error=now.error)
        return Outcome(job.job_key, "deferred")

    def release(self) -> None:
        """Release the job for another attempt, in this run or another one."""
        self.context.claims.release(self.attempt_id)

    def fail(self, error: JobError, *, retry_in_s: float | None) -> None:
        """Record that the job failed; one that was stopped with its run is released with the run's claims instead."""
        if not self.context.stopping.is_set():
            self.context.claims.fail(self.attempt_id, error, retry_in_s=retry_in_s)

    @property
    def _result_id(self) -> str:
        """Id of the result that this attempt is to make."""
        return self.context.result_id(self.job)

    def _finish_commit(self) -> bool:
        """Finish the commit that a lost run has begun: it may still be alive, and insert its record at any time."""
        begun = self.job.committing
        if begun is None:
            return False
        record = complete_attempt(self.context.services.results, begun.result_id, begun.attempt)
        return record is not None and self._commit_unless_refused(record, begun) is not None

    def _announce(self, record: dict[str, Any]) -> bool:
        """Announce that the job ends with an existing record, so that it is not cancelled; return False if the claim was lost."""
        begun, how = self.job.committing, self._how_to_commit(record, None)
        is_announced = begun is not None and (begun.attempt, begun.result_id) == (how.attempt, how.result_id)
        return is_announced or self.context.claims.begin_commit(self.attempt_id, how) or not self.is_lost

    def _is_answer(self, record: dict[str, Any]) -> bool:
        """Return whether a record that the run has not seen before the claim answers the request."""
        attempt, run = attempt_of(record), self.context.run
        if run.force_reason:
            return any(one.attempt == attempt and one.run_id == run.run_id for one in self.job.attempts)
        return self.job.may_use(attempt) and (self.seen is None or attempt != attempt_of(self.seen))

    def _earlier_attempt(self, current: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the record of an earlier attempt that may replace the current one."""
        if self.job.attempt_number <= 1 or self.context.run.force_reason:
            return None
        if current is not None and self.job.may_use(attempt_of(current)):
            return None
        services = self.context.services
        return earlier_attempt(
            self.job, self._result_id, but=self.attempt_id, results=services.results, records=services.records
        )

    def _publish(self, execution: JobExecution, task: Task, work: Work, current: dict[str, Any] | None) -> Outcome:
        """Upload the worker's files and commit their record in place of the current one."""
        results = self.context.services.results
        stored = upload(results, execution.location, task.results, result_files(task.results), log=task.log)
        manifest = manifest_of(stored, log=task.log)
        digest, why = listing_digest(stored), self._why_new()
        environment = self.context.stored_environment()
        provenance = execution.provenance(work, manifest, environment, listing_sha256=digest, why=why)
        record = to_record(provenance)
        if not self.context.claims.holds(self.attempt_id):
            results.discard(execution.location)
            return self._deferred()
        write_documents(results, record, manifest)
        how = self._how_to_commit(record, current)
        if not self.context.claims.begin_commit(self.attempt_id, how):
            self._discard_if_answered(record)
            return self._deferred()
        winner = self._commit(record, how)
        if winner is None or not self.job.may_use(attempt_of(winner)):
            msg = f"The record {how.result_id} was changed while attempt {how.attempt} was being committed."
            raise ResultChangedError(msg)
        if attempt_of(winner) != self.attempt_id:
            return self._published(winner, "reused")
        return self._computed(record, provenance, self._local_figure(task))

    def _discard_if_answered(self, record: dict[str, Any]) -> None:
        """Delete the files of this attempt, which was complete when it lost its job, if another attempt's record exists.

        The ledger excludes that another run begins to commit it meanwhile. Without a record the next run commits it.
        """
        services, current = self.context.services, self.context.services.records.get(self._result_id)
        if current is None or attempt_of(current) == self.attempt_id or services.records.was_superseded(record):
            return
        if services.ledger.commits.drop(self.job.analysis, self.job.job_key, self.attempt_id):
            services.results.discard(record["location"])

    def _commit_earlier(self, record: dict[str, Any], current: dict[str, Any] | None) -> dict[str, Any] | None:
        """Commit an earlier attempt; return the current record, or None if that does not answer the job."""
        how = self._how_to_commit(record, current)
        if not self.context.claims.begin_commit(self.attempt_id, how):
            return None
        winner = self._commit_unless_refused(record, how)
        if winner is not None and self.job.may_use(attempt_of(winner)):
            return winner
        self._end_commit(how, is_done=False)
        return None

    def _commit_unless_refused(self, record: dict[str, Any], how: Commit) -> dict[str, Any] | None:
        """Commit an earlier attempt; return None also if the server rejects its record, so that this attempt makes another."""
        try:
            return self._commit(record, how)
        except Exception as error:
            if is_transient(error):
                raise
            return None

    def _commit(self, record: dict[str, Any], how: Commit) -> dict[str, Any] | None:
        """Insert the record of a complete attempt; return the current record, or None if it was invalidated."""
        services = self.context.services
        return commit(record, how, results=services.results, records=services.records)

    def _end_commit(self, how: Commit, *, is_done: bool) -> None:
        commits = self.context.services.ledger.commits
        commits.end(self.job, how, attempt=self.attempt_id, is_done=is_done)

    def _how_to_commit(self, record: dict[str, Any], current: dict[str, Any] | None) -> Commit:
        """Return the commit that the ledger announces: the record to insert, and the one that it replaces."""
        who, reason = self._who_and_why()
        return Commit(
            attempt=attempt_of(record),
            result_id=self._result_id,
            replaces=None if current is None else attempt_of(current),
            who=who,
            reason=reason,
        )

    def _who_and_why(self) -> tuple[str, str]:
        force, run = self.job.force, self.context.run
        if force is not None and not run.force_reason:
            return force.who, force.reason
        return person(), run.force_reason or " ".join(self.notes)

    def _why_new(self) -> str:
        """Return the differences of this result from the nearest earlier one, as a sentence."""
        job = self.job
        found = nearest_earlier(self.context.services.records, job.stored_job, self.context.entry.code_version)
        return f"First result of `{job.analysis}`." if found is None else f"New: {found.message()}."

    def _local_figure(self, task: Task) -> bytes | None:
        figure = self.context.entry.analysis.figure
        path = task.results / figure if figure else None
        return path.read_bytes() if path is not None and path.is_file() else None

    def _computed(self, record: dict[str, Any], provenance: Provenance, figure: bytes | None) -> Outcome:
        return Outcome(
            self.job.job_key,
            "computed",
            provenance=provenance,
            figure=figure,
            attempt=self.attempt_id,
            notes=(*self.notes, *other_code(provenance.code)),
            attempts=self.job.attempts,
            verdicts=after_upload(record, provenance),
        )

    def _published(self, record: dict[str, Any], kind: OutcomeKind) -> Outcome:
        found = read_record(record, self.job)
        return Outcome(
            self.job.job_key,
            kind,
            provenance=found,
            figure=stored_figure(self.context.services.results, found),
            attempt=self.attempt_id,
            notes=self.notes,
            verdicts=after_listing(record, found) if kind == "computed" else without_looking(record),
        )

    def _deferred(self) -> Outcome:
        return Outcome(self.job.job_key, "deferred")

    def _failed(self, error: JobError) -> Outcome:
        return Outcome(self.job.job_key, "failed", error=error, attempt=self.attempt_id, notes=self.notes)
