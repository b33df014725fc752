"""The claims of runs on jobs: which attempt may compute a job, its lease, and its end."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from domain.failures import JobError
from domain.job.state import JobState, LedgerEntry
from resources.ledger.documents import KEPT_USABLE, RESET, change_to, job_id, readable_entry
from resources.ledger.jobs import Jobs
from resources.mongo_collection import Document, RetryingCollection

KEPT_ATTEMPTS = 20


@dataclass(frozen=True)
class Finished:
    """A claimed job whose result is published.

    Attributes
    ----------
    entry : LedgerEntry
        The ledger's entry of the job.
    attempt, result_id : str
        Id of the execution that made the result, and of the result.
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
        Collection of jobs, one document per job.
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
        states: Collection[JobState],
    ) -> LedgerEntry | None:
        """Claim a job for an attempt, unless another attempt holds it.

        Parameters
        ----------
        entry : LedgerEntry
            The ledger's entry of the job.
        attempt, owner, run_id : str
            Ids of the attempt, of its worker process and of its Dagster run.
        code_version : str
            Code version that the attempt executes.
        states : collection of JobState
            States from which it may be claimed, `failed` only if it has not changed since ``entry`` was read: it may have
            been cancelled. A job whose lease has expired may always be claimed.

        Returns
        -------
        LedgerEntry or None
            The claimed job; None if it is in another state or another attempt holds it.
        """
        now = self.now()
        until = now + timedelta(seconds=self.lease_s)
        lease = {"owner": owner, "attempt": attempt, "run_id": run_id, "until": until}
        begun = {"attempt": attempt, "run_id": run_id, "code_version": code_version, "started": now}
        claimable: list[Document] = [
            {"state": {"$in": [s.value for s in states if s is not JobState.FAILED]}},
            {"state": JobState.RUNNING.value, "lease.until": {"$lt": now}},
        ]
        if JobState.FAILED in states:
            claimable.append({"state": JobState.FAILED.value, "revision": entry.revision or None})
        match = {"_id": job_id(entry.analysis, entry.job_key), "$or": claimable}
        change = change_to({"state": JobState.RUNNING.value, "lease": lease}, now)
        change["$inc"]["attempt_number"] = 1
        change["$push"] = {
            "attempts": {"$each": [begun], "$slice": -KEPT_ATTEMPTS},
            "usable_attempts": {"$each": [attempt], "$slice": -KEPT_USABLE},
        }
        claimed = self.documents.find_one_and_update(match, change)
        if claimed is not None:
            return readable_entry(claimed)
        stored = Jobs(self.documents).get(entry.analysis, entry.job_key)  # claimed after all, if the response was lost
        is_ours = stored is not None and stored.lease is not None and stored.lease.attempt == attempt
        return stored if is_ours else None

    def extend(self, owner: str) -> int:
        """Extend every lease of a worker process; return the number of its leases."""
        until = self.now() + timedelta(seconds=self.lease_s)
        match = {"lease.owner": owner, "state": JobState.RUNNING.value}
        return self.documents.update_many(match, {"$set": {"lease.until": until}}).matched_count

    def finish(self, finished: Sequence[Finished], *, code_version: str) -> list[Finished]:
        """Record that claimed jobs have their results, and end their leases, in one request.

        Returns
        -------
        list of Finished
            Those whose attempt had lost its claim: another one may have a newer result.
        """
        now = self.now()
        fields: Document = {"code_version": code_version, "error": None, "force": None, "committing": None, **RESET}
        ends: list[UpdateOne] = []
        for f in finished:
            ending = _ending(f.entry, f.attempt, JobState.DONE, "done", now, {**fields, "result_id": f.result_id})
            ends += _answering(*ending, code_version=code_version)
        if self.documents.bulk_write(ends).matched_count == len(finished):
            return []
        done = {"$elemMatch": {"attempt": {"$in": [f.attempt for f in finished]}, "outcome": "done"}}
        ids = [job_id(f.entry.analysis, f.entry.job_key) for f in finished]
        ended = {d["_id"] for d in self.documents.find({"_id": {"$in": ids}, "attempts": done}, {"_id": 1}).to_list()}
        return [f for f in finished if job_id(f.entry.analysis, f.entry.job_key) not in ended]

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
        fields: Document = {"code_version": code_version, "error": error.model_dump(), "retry_at": self._in(retry_in_s)}
        if error.permanent:  # the server rejected the record, if one was sent; otherwise it may have arrived
            fields["committing"] = None
        ending = _ending(entry, attempt, JobState.FAILED, "failed", self.now(), fields)
        self.documents.bulk_write(_answering(*ending, code_version=code_version))

    def release(self, entry: LedgerEntry, *, attempt: str) -> None:
        """Make a claimed job new again: it was not finished, and did not fail."""
        self.documents.update_one(*_ending(entry, attempt, JobState.NEW, "released", self.now(), {}))

    def mark_unclaimed(
        self,
        entry: LedgerEntry,
        *,
        state: JobState,
        code_version: str,
        retry_in_s: float | None = None,
        **fields: Any,
    ) -> bool:
        """Record that a job without a claim is done, because its result is reused, or has failed before a claim.

        Returns
        -------
        bool
            False if the job has changed since ``entry`` was read: it was requested again, cancelled, invalidated or
            finished, and stays so.
        """
        now = self.now()
        match = {
            "_id": job_id(entry.analysis, entry.job_key),
            "state": entry.state.value,
            "revision": entry.revision or None,  # null matches a job whose state has not changed since it was stored
            "$or": [{"state": {"$ne": JobState.RUNNING.value}}, {"lease.until": {"$lt": now}}],
        }
        change = {"state": state.value, "lease": None, "fruitless": 0, "code_version": code_version, **fields}
        change["retry_at"] = self._in(retry_in_s)
        if entry.requested_code == code_version:
            change["requested_code"] = None
        if state is JobState.DONE:
            change |= {"rounds": 0, "force": None}
            if entry.committing is not None and entry.committing.result_id == fields.get("result_id"):
                change["committing"] = None
        return self.documents.update_one(match, change_to(change, now)).matched_count == 1

    def release_lost(self, analysis: str, *, dead_runs: Sequence[str]) -> int:
        """Make running jobs new whose lease has expired or whose run has ended; return their number."""
        now = self.now()
        lost = {
            "analysis": analysis,
            "state": JobState.RUNNING.value,
            "$or": [{"lease.until": {"$lt": now}}, {"lease.run_id": {"$in": list(dead_runs)}}],
        }
        change = change_to({"state": JobState.NEW.value, "lease": None}, now)
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
        held = {"lease.owner": {"$gt": ""}}  # uses the index on owners, which only has entries for leases
        found = self.documents.find(held, {"lease.attempt": 1, "lease.run_id": 1}).to_list()
        return {d["lease"]["attempt"]: d["lease"]["run_id"] for d in found}

    def _in(self, seconds: float | None) -> datetime | None:
        """Return the server's time in a number of seconds; None for None."""
        return None if seconds is None else self.now() + timedelta(seconds=seconds)


def _ending(
    entry: LedgerEntry, attempt: str, state: JobState, outcome: str, now: datetime, fields: Document
) -> tuple[Document, Document]:
    """Return the filter and the update that end an attempt; they do not match after the claim was lost."""
    ended: Document = {"attempts.$.ended": now, "attempts.$.outcome": outcome}
    if fields.get("error"):
        ended["attempts.$.error"] = fields["error"]
    match = {"_id": job_id(entry.analysis, entry.job_key), "lease.attempt": attempt, "attempts.attempt": attempt}
    return match, change_to({"state": state.value, "lease": None, **fields, **ended}, now)


def _answering(match: Document, change: Document, *, code_version: str) -> list[UpdateOne]:
    """Return the writes that end an attempt. A concurrent request for another code version stays with the job.

    The second write matches only if the first did not, because either one ends the lease.
    """
    answered = {**change, "$set": {**change["$set"], "requested_code": None}}
    return [
        UpdateOne({**match, "requested_code": {"$in": [None, code_version]}}, answered),
        UpdateOne(match, change),
    ]
