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
            return self._process(job_key, job)

    def _process(self, job_key: str, job: LedgerEntry | None) -> Outcome:
        if job is None:
            message = f"No job is stored under {job_key}: submit its job file again, or delete the partition."
            return Outcome(job_key, "failed", error=JobError(kind="unknown_job", message=message, permanent=True))
        if job.state is JobState.ARCHIVED:
            name = self.context.entry.analysis.name
            message = f"The job is archived. To run it:  analysis archive {name} --restore --key {job_key}"
            return Outcome(job_key, "failed", error=JobError(kind="unknown_job", message=message, permanent=True))
        run = self.context.run
        if job.state is JobState.FAILED and (not run.by_hand or job.was_ended_during(run.run_id, run.launched)):
            return Outcome(job_key, "failed", error=job.error)
        try:
            verify(self.context.entry.analysis, job.stored_job)
            return dry_run(self.context, job) if self.context.run.dry_run else self._reuse_or_compute(job)
        except Exception as error:  # noqa: BLE001  an error in one job must not end the others of the run
            return self._fail_unclaimed(job, error_of(error))

    def _reuse_or_compute(self, job: LedgerEntry) -> Outcome:
        """Reuse the existing result if its files are as published; otherwise compute one."""
        result, services = self.context.result_id(job), self.context.services
        record = services.records.get(result) if result in self._with_record else None
        notes: tuple[str, ...] = ()
        if record is not None and not self._is_forced(job, record):
            found = read_record(record, job)
            changed = differences(services.results, found)
            if not changed:
                figure, verdicts = stored_figure(services.results, found), after_listing(record, found)
                return Outcome(job.job_key, "reused", provenance=found, figure=figure, verdicts=verdicts)
            notes = (
                f"The files of {found.location} are not what was published: {'; '.join(changed)}. Computing again.",
            )
        return self._compute(job, record, notes)

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
