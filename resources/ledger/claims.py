"""The claims of runs on jobs: which attempt may compute a job, until when, and how it ended."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from domain.failures import JobError
from domain.job.state import JobState, LedgerEntry
from resources.ledger.documents import RESET, job_id, readable_entry
from resources.ledger.jobs import Jobs
from resources.mongo_collection import Document, RetryingCollection

KEPT_ATTEMPTS = 20


@dataclass(frozen=True)
class Finished:
    """A claimed job whose result is published.

    Attributes
    ----------
    entry : LedgerEntry
        The job.
    attempt, result_id : str
        The execution that made the result, and its id.
    """

    entry: LedgerEntry
    attempt: str
    result_id: str


@dataclass(frozen=True)
class JobClaims:
    """Claims jobs, extends leases and records how attempts ended.

    Attributes
    ----------
    documents : RetryingCollection
        The jobs.
    now : callable
        Returns the server's time.
    lease_s : float
        Seconds until a claim expires unless it is extended.
    """

    documents: RetryingCollection
    now: Callable[[], datetime]
    lease_s: float

    def claim(
        self,
        entry: LedgerEntry,
        *,
        attempt: str,
        owner: str,
        run_id: str,
        code_version: str,
        states: Iterable[JobState],
    ) -> LedgerEntry | None:
        """Claim a job for one attempt, unless another one has it.

        Parameters
        ----------
        entry : LedgerEntry
            The job.
        attempt, owner, run_id : str
            The attempt, its worker process and its Dagster run.
        code_version : str
            Code that the attempt executes.
        states : iterable of JobState
            States from which it may be claimed; a job whose lease has expired may always be claimed.

        Returns
        -------
        LedgerEntry or None
            The claimed job; None if it is in another state or another attempt holds it.
        """
        now = self.now()
        until = now + timedelta(seconds=self.lease_s)
        lease = {"owner": owner, "attempt": attempt, "run_id": run_id, "until": until}
        begun = {"attempt": attempt, "run_id": run_id, "code_version": code_version, "started": now}
        match = {
            "_id": job_id(entry.analysis, entry.job_key),
            "$or": [
                {"state": {"$in": [s.value for s in states]}},
                {"state": JobState.RUNNING.value, "lease.until": {"$lt": now}},
            ],
        }
        change = {
            "$set": {"state": JobState.RUNNING.value, "lease": lease, "updated": now},
            "$inc": {"attempt_number": 1},
            "$push": {"attempts": {"$each": [begun], "$slice": -KEPT_ATTEMPTS}},
        }
        claimed = self.documents.find_one_and_update(match, change)
        if claimed is not None:
            return readable_entry(claimed)
        stored = Jobs(self.documents).get(entry.analysis, entry.job_key)  # claimed after all, if the answer was lost
        is_ours = stored is not None and stored.lease is not None and stored.lease.attempt == attempt
        return stored if is_ours else None

    def extend(self, owner: str) -> int:
        """Extend every lease of a worker process; returns how many it holds."""
        until = self.now() + timedelta(seconds=self.lease_s)
        match = {"lease.owner": owner, "state": JobState.RUNNING.value}
        return self.documents.update_many(match, {"$set": {"lease.until": until}}).matched_count

    def finish(self, finished: Iterable[Finished], *, code_version: str) -> None:
        """Record that claimed jobs have their results, and end their leases, in one request."""
        now = self.now()
        fields = {"code_version": code_version, "error": None, "force": None, **RESET}
        ends = [
            UpdateOne(*_ending(f.entry, f.attempt, JobState.DONE, "done", now, {**fields, "result_id": f.result_id}))
            for f in finished
        ]
        self.documents.bulk_write(ends, ordered=False)

    def fail(
        self,
        entry: LedgerEntry,
        *,
        attempt: str,
        code_version: str,
        error: JobError,
        retry_in_s: float | None = None,
    ) -> None:
        """Record that a claimed job failed, and when it is retried automatically; ends its lease."""
        fields = {"code_version": code_version, "error": error.model_dump(), "force": None}
        self._end(entry, attempt, JobState.FAILED, "failed", {**fields, "retry_at": self._in(retry_in_s)})

    def release(self, entry: LedgerEntry, *, attempt: str) -> None:
        """Make a claimed job new again: it was not finished, and nothing is known to be wrong with it."""
        self._end(entry, attempt, JobState.NEW, "released", {})

    def mark_unclaimed(
        self, entry: LedgerEntry, *, state: JobState, retry_in_s: float | None = None, **fields: Any
    ) -> None:
        """Record that a job without a claim is done, because its result is reused, or has failed before a claim.

        Without effect if the job was requested again after ``entry`` was read: that request stays. A job that has
        changed its state since is not failed either: it may have been finished.
        """
        now = self.now()
        match = {
            "_id": job_id(entry.analysis, entry.job_key),
            "force.when": entry.force.when if entry.force else None,
            "$or": [{"state": {"$ne": JobState.RUNNING.value}}, {"lease.until": {"$lt": now}}],
        }
        change = {"state": state.value, "lease": None, "force": None, "fruitless": 0, "updated": now, **fields}
        change["retry_at"] = self._in(retry_in_s)
        if state is JobState.FAILED:
            match["state"] = entry.state.value
        else:
            change["rounds"] = 0
        self.documents.update_one(match, {"$set": change})

    def release_lost(self, analysis: str, *, dead_runs: Sequence[str]) -> int:
        """Make running jobs new whose lease has expired or whose run has ended; returns how many."""
        now = self.now()
        lost = {
            "analysis": analysis,
            "state": JobState.RUNNING.value,
            "$or": [{"lease.until": {"$lt": now}}, {"lease.run_id": {"$in": list(dead_runs)}}],
        }
        change = {"$set": {"state": JobState.NEW.value, "lease": None, "updated": now}}
        return self.documents.update_many(lost, change).modified_count

    def holds(self, entry: LedgerEntry, attempt: str) -> bool:
        """Return whether a job is still claimed by an attempt."""
        match = {"_id": job_id(entry.analysis, entry.job_key), "lease.attempt": attempt}
        return self.documents.find_one(match, {"_id": 1}) is not None

    def held_by(self, owner: str) -> set[str]:
        """Return the attempts of a worker process that still hold their jobs.

        An attempt loses its job when the job is cancelled, or when its lease expired and another attempt claimed it.
        """
        match = {"lease.owner": owner, "state": JobState.RUNNING.value}
        return {d["lease"]["attempt"] for d in self.documents.find(match, {"lease.attempt": 1}).to_list()}

    def run_ids(self, analysis: str) -> list[str]:
        """Return the Dagster runs that hold leases on jobs of an analysis."""
        match = {"analysis": analysis, "state": JobState.RUNNING.value}
        return [r for r in self.documents.distinct("lease.run_id", match) if r and isinstance(r, str)]

    def runs_by_attempt(self) -> dict[str, str]:
        """Return the attempts of all analyses that hold a lease, each with its Dagster run."""
        held = {"lease.owner": {"$gt": ""}}  # by the index on owners, which has an entry for each lease only
        found = self.documents.find(held, {"lease.attempt": 1, "lease.run_id": 1}).to_list()
        return {d["lease"]["attempt"]: d["lease"]["run_id"] for d in found}

    def _in(self, seconds: float | None) -> datetime | None:
        """Return the server's time after some seconds."""
        return None if seconds is None else self.now() + timedelta(seconds=seconds)

    def _end(self, entry: LedgerEntry, attempt: str, state: JobState, outcome: str, fields: Document) -> None:
        """End a claimed attempt; without effect when the claim was lost."""
        self.documents.update_one(*_ending(entry, attempt, state, outcome, self.now(), fields))


def _ending(
    entry: LedgerEntry, attempt: str, state: JobState, outcome: str, now: datetime, fields: Document
) -> tuple[Document, Document]:
    """Return the filter and the update that end an attempt; one that has lost its claim does not match."""
    ended: Document = {"attempts.$.ended": now, "attempts.$.outcome": outcome}
    if fields.get("error"):
        ended["attempts.$.error"] = fields["error"]
    change = {"$set": {"state": state.value, "lease": None, "updated": now, **fields, **ended}}
    return {"_id": job_id(entry.analysis, entry.job_key), "lease.attempt": attempt, "attempts.attempt": attempt}, change
