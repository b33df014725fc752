"""Processes one job of a run: reuses its result, or makes attempts until one succeeds or the retry policy ends them.

Each thread of the run's process handles one job at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from domain.errors import error_context
from domain.failures import JobError
from domain.job.state import JobState, LedgerEntry
from domain.job.stored import verify
from domain.retry import decide
from engine.assets.builtin_checks import after_listing
from engine.execution.attempt import Attempt
from engine.execution.context import RunContext
from engine.execution.execute import dry_run
from engine.execution.metadata import metadata_differences
from engine.execution.outcome import Outcome, error_of
from engine.execution.publish import differences, read_record, stored_figure
from resources.records.reader import attempt_of


@dataclass
class JobRunner:
    """Processes single jobs; thread-safe.

    Attributes
    ----------
    context : RunContext
        State that all attempts of the run share.
    """

    context: RunContext
    _with_record: set[str] = field(default_factory=set)

    def look_up(self, jobs: Iterable[LedgerEntry]) -> None:
        """Read in one query which jobs of a run have a record; the others need no query before their claim."""
        records = self.context.services.records
        self._with_record = records.existing(self.context.result_id(job) for job in jobs)

    def process(self, job_key: str, job: LedgerEntry | None) -> Outcome:
        """Process one job and return its outcome.

        Parameters
        ----------
        job_key : str
            Key of the job, which names its partition.
        job : LedgerEntry or None
            The ledger's entry for this key.

        Raises
        ------
        ServerUnavailableError
            If the failure cannot be recorded.
        """
        with error_context(analysis=self.context.entry.analysis.name, job_key=job_key):
            if job is None:
                return _unknown(
                    job_key, f"No job is stored under {job_key}: submit its job file again, or delete the partition."
                )
            if (not_run := self._not_to_run(job)) is not None:
                return not_run
            try:
                verify(self.context.entry.analysis, job.stored_job)
                if self.context.run.dry_run:
                    return dry_run(self.context, job)
                record = self._record_of(job)
                reused, notes = self._reuse(job, record)
                return reused or self._compute(job, record, notes)
            except Exception as error:  # noqa: BLE001  an error in one job must not end the others of the run
                return self._fail_unclaimed(job, error_of(error))

    def _not_to_run(self, job: LedgerEntry) -> Outcome | None:
        """Return the outcome of a job that this run must not process: archived, or ended by an operator or its retry policy."""
        run = self.context.run
        if job.state is JobState.ARCHIVED:
            restore = f"analysis archive {job.analysis} --restore --key {job.job_key}"
            return _unknown(job.job_key, f"The job is archived. To run it:  {restore}")
        if job.state is JobState.FAILED and (not run.by_hand or job.was_ended_during(run.run_id, run.launched)):
            return Outcome(job.job_key, "failed", error=job.error)
        return None

    def _record_of(self, job: LedgerEntry) -> dict[str, Any] | None:
        """Return the record of a job; None without a query if it had none when the run began."""
        result = self.context.result_id(job)
        return self.context.services.records.get(result) if result in self._with_record else None

    def _reuse(self, job: LedgerEntry, record: dict[str, Any] | None) -> tuple[Outcome | None, tuple[str, ...]]:
        """Return the outcome of a job whose record and files may be reused, or None and notes on what differs."""
        if record is None or self._is_forced(job, record):
            return None, ()
        found, results = read_record(record, job), self.context.services.results
        changed = differences(results, found)
        if changed:
            what = f"The files of {found.location} are not what was published: {'; '.join(changed)}. Computing again."
            return None, (what,)
        figure, verdicts = stored_figure(results, found), after_listing(record, found)
        notes = metadata_differences(self.context.entry.analysis, job, found, self.context.services.assets)
        return Outcome(job.job_key, "reused", provenance=found, figure=figure, notes=notes, verdicts=verdicts), ()

    def _is_forced(self, job: LedgerEntry, record: dict[str, Any]) -> bool:
        """Return whether a job is to be computed although it has a record."""
        return bool(self.context.run.force_reason) or (job.fenced and not job.may_use(attempt_of(record)))

    def _compute(self, job: LedgerEntry, record: dict[str, Any] | None, notes: tuple[str, ...]) -> Outcome:
        """Make attempts: after a transient failure another one, as far as the retry policy allows."""
        retry, stopping = self.context.entry.analysis.retry, self.context.stopping
        number = 1
        while True:
            attempt = Attempt.claim(self.context, job, record, notes)
            if attempt is None:
                return Outcome(job.job_key, "deferred")
            outcome = attempt.run()
            if attempt.is_lost:
                return attempt.abandon()
            if outcome.error is None:
                return outcome
            decision = decide(retry, outcome.error, attempt=number, rounds=job.rounds)
            if decision.action == "requeue":
                attempt.release()
                return outcome
            if decision.action != "repeat" or stopping.is_set():
                attempt.fail(outcome.error, retry_in_s=decision.retry_in_s)
                return outcome
            attempt.release()
            notes = (*notes, f"Attempt {number} failed and is repeated: {outcome.error.message}")
            stopping.wait(decision.wait_s)
            number += 1

    def _fail_unclaimed(self, job: LedgerEntry, error: JobError) -> Outcome:
        """Record the failure of a job that was not claimed; a finished one stays done while a server is unavailable."""
        if not self.context.run.dry_run and (error.permanent or job.state is not JobState.DONE):
            decision = decide(self.context.entry.analysis.retry, error, attempt=None, rounds=job.rounds)
            self.context.services.ledger.claims.mark_unclaimed(
                job,
                state=JobState.FAILED,
                code_version=self.context.entry.code_version,
                retry_in_s=decision.retry_in_s,
                error=error.model_dump(),
            )
        return Outcome(job.job_key, "failed", error=error)


def _unknown(job_key: str, message: str) -> Outcome:
    """Return the outcome of a partition that has no job to run."""
    return Outcome(job_key, "failed", error=JobError(kind="unknown_job", message=message, permanent=True))
