"""The states of a job, and the document of a job in the ledger.

``new`` (requested) -> ``running`` (claimed under a lease) -> ``done`` (its record exists) or ``failed``. A failed job
becomes new again only by its retry policy or an operator. An operator may archive a done job: it is ``archived`` then.
*Queued* is not stored: it means new, and covered by an unfinished run.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field

from domain.failures import ENDED_BY_PEOPLE, JobError
from domain.formats import StoredModel
from domain.job.identity import JobInputs
from domain.job.stored import Source, StoredJob
from domain.retry import UNSTARTED_RUNS

_AT_ONCE = 2
"""Number of runs requested without a wait although none started, because a tick or a run may have been interrupted."""


class JobState(StrEnum):
    """A state as stored in the ledger."""

    NEW = "new"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    ARCHIVED = "archived"


class Lease(StoredModel):
    """The run and worker that compute a job, and when their claim expires."""

    owner: str = Field(description="Worker process.")
    attempt: str = Field(description="Execution that it makes.")
    run_id: str = Field(description="Dagster run that it belongs to.")
    until: AwareDatetime = Field(description="End, by the server's clock.")


class Attempt(StoredModel):
    """One execution of a job; its end may be missing."""

    attempt: str = Field(description="Identifier; also the folder of its files.")
    run_id: str = Field(description="Dagster run.")
    code_version: str | None = Field(default=None, description="Code that it executes.")
    started: AwareDatetime = Field(description="When the job was claimed.")
    ended: AwareDatetime | None = Field(default=None, description="When it was finished, failed or given back.")
    outcome: str | None = Field(default=None, description="done, failed or released; None: it never ended.")
    error: JobError | None = Field(default=None, description="Why it failed.")


class Commit(StoredModel):
    """A complete attempt whose record is being inserted. From here on the job cannot be cancelled.

    It stays with the job if the run that wrote it vanishes: the next attempt at the job finishes the commit first.
    """

    attempt: str = Field(description="The attempt.")
    result_id: str = Field(description="The result whose record it is.")
    replaces: str | None = Field(default=None, description="Attempt whose record it replaces; None: there was none.")
    who: str = Field(default="", description="Who replaces that record.")
    reason: str = Field(default="", description="Why it is replaced.")


class Force(StoredModel):
    """An operator's request to compute a result again."""

    reason: str = Field(description="Why.")
    who: str = Field(description="Who requested the job.")
    when: datetime | None = Field(default=None, description="When.")


class LedgerEntry(StoredModel):
    """The document of a job in the ledger."""

    analysis: str = Field(description="Name of the analysis.")
    job_key: str = Field(description="Partition key.")
    inputs: JobInputs = Field(description="Inputs in identity's order, with their original spelling.")
    parameters: dict[str, Any] = Field(description="Validated parameters.")
    origins: dict[str, str] = Field(default_factory=dict, description="Where each value came from.")
    sources: tuple[Source, ...] = Field(default=(), description="Every file or person that requested the job.")
    state: JobState = Field(description="State of the job.")
    attempt_number: int = Field(default=0, description="Claims so far.")
    requests: int = Field(default=0, description="Number of runs requested so far.")
    unfinished_runs: int = Field(
        default=0, validation_alias="fruitless", description="Number of runs started since the job last ended."
    )
    unstarted_runs: int = Field(
        default=0, validation_alias="unstarted", description="Number of runs requested since one last started."
    )
    counted_run: str | None = Field(default=None, description="The last run that started while the job was new.")
    requested_at: AwareDatetime | None = Field(default=None, description="When a run was last requested.")
    rounds: int = Field(default=0, description="Delayed retries since the job was last requested by a person.")
    retry_at: datetime | None = Field(default=None, description="When a failed job is retried automatically.")
    lease: Lease | None = Field(default=None, description="Who works on it.")
    error: JobError | None = Field(default=None, description="Why it failed last.")
    force: Force | None = Field(default=None, description="A request to compute it again.")
    attempts: tuple[Attempt, ...] = Field(default=(), description="The latest executions, oldest first.")
    code_version: str | None = Field(default=None, description="Code of the latest result or failure.")
    result_id: str | None = Field(default=None, description="The latest result.")
    requested_code: str | None = Field(
        default=None, description="Code version of the latest request that no result or failure has answered."
    )
    committing: Commit | None = Field(default=None, description="The commit that has begun.")
    fenced: bool = Field(default=False, description="Only `usable_attempts` count: the job was forced or invalidated.")
    usable_attempts: tuple[str, ...] = Field(default=(), description="Attempts since then, oldest first.")
    revision: int = Field(default=0, description="Changes of the state so far.")
    updated: AwareDatetime | None = Field(default=None, description="When the state last changed.")

    def may_use(self, attempt: str) -> bool:
        """Return whether an attempt's result may answer this job: not if it is older than a force or an invalidation."""
        return not self.fenced or attempt in self.usable_attempts

    def was_ended_during(self, run_id: str, launched: datetime | None) -> bool:
        """Return whether an operator has cancelled or invalidated this job after the launch of a run.

        Parameters
        ----------
        run_id : str
            Id of the run. A job that was new when the run started has it as `counted_run`: no clock is needed then.
        launched : datetime or None
            Time of the launch by Dagster's clock; None if it is unknown.
        """
        if self.state is not JobState.FAILED or self.error is None or self.error.kind not in ENDED_BY_PEOPLE:
            return False
        if self.counted_run == run_id:
            return True
        return launched is not None and self.updated is not None and self.updated > launched

    def run_is_due(self, now: datetime) -> bool:
        """Return whether another run may be requested: at once, but at growing intervals while requested runs do not start."""
        if self.requested_at is None or self.unstarted_runs <= _AT_ONCE:
            return True
        wait_s = UNSTARTED_RUNS.wait_after(self.unstarted_runs - _AT_ONCE)
        return wait_s is not None and self.requested_at + timedelta(seconds=wait_s) <= now

    @property
    def stored_job(self) -> StoredJob:
        """Inputs and parameters of the job."""
        return StoredJob.model_validate(self.model_dump(include=set(StoredJob.model_fields)))
