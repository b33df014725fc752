"""The ledger: one document per job, and the truth about its state.

Every change is one atomic update whose filter says from which state it starts, so two workers never both succeed, and
repeating a change after a lost answer does no harm. Time is always the server's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field
from pymongo import UpdateOne

from domain.failures import JobError
from domain.job.state import JobState, LedgerEntry
from domain.retry import UNFINISHED_RUNS
from resources.ledger.breakers import LedgerBreakers
from resources.ledger.reader import job_id, readable_entry
from resources.mongo_collection import Document

LEASE_S = 60.0
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


class Ledger(LedgerBreakers):
    """Small verbs of runs and sensors on the jobs of all analyses."""

    lease_s: float = Field(
        default=LEASE_S,
        description="Seconds until a claim expires unless it is extended. A run extends its claims four times in that time.",
    )

    # -- work ----------------------------------------------------------------------------------------------------

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
        """Take a job for one attempt, unless somebody else has it.

        Parameters
        ----------
        entry : LedgerEntry
            The job.
        attempt, owner, run_id : str
            Who takes it and for what.
        code_version : str
            Code that the attempt executes.
        states : iterable of JobState
            States from which it may be taken; a job whose lease has expired may always be taken.

        Returns
        -------
        LedgerEntry or None
            The claimed job; None if it is in another state or somebody else holds it.
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
        taken = self._jobs.find_one_and_update(match, change)
        if taken is not None:
            return readable_entry(taken)
        now_stored = self.get(entry.analysis, entry.job_key)  # ours after all, when the answer to the update was lost
        ours = now_stored is not None and now_stored.lease is not None and now_stored.lease.attempt == attempt
        return now_stored if ours else None

    def held_by(self, owner: str) -> set[str]:
        """Return the attempts of a worker process whose jobs are still its own.

        A job is lost when somebody cancelled it, or when its lease expired and somebody else took it.
        """
        match = {"lease.owner": owner, "state": JobState.RUNNING.value}
        return {d["lease"]["attempt"] for d in self._jobs.find(match, {"lease.attempt": 1}).to_list()}

    def holds(self, entry: LedgerEntry, attempt: str) -> bool:
        """Tell whether a job is still claimed by an attempt."""
        match = {"_id": job_id(entry.analysis, entry.job_key), "lease.attempt": attempt}
        return self._jobs.find_one(match, {"_id": 1}) is not None

    def extend_leases(self, owner: str) -> int:
        """Extend every lease of a worker process; returns how many it holds."""
        until = self.now() + timedelta(seconds=self.lease_s)
        match = {"lease.owner": owner, "state": JobState.RUNNING.value}
        return self._jobs.update_many(match, {"$set": {"lease.until": until}}).matched_count

    def finish(self, entry: LedgerEntry, *, attempt: str, code_version: str, result_id: str) -> None:
        """Record that a claimed job has its result, and give the lease back."""
        self.finish_all([Finished(entry, attempt, result_id)], code_version=code_version)

    def finish_all(self, finished: Iterable[Finished], *, code_version: str) -> None:
        """Record that claimed jobs have their results, and give their leases back, in one request."""
        now = self.now()
        settled = {"code_version": code_version, "error": None, "force": None, "fruitless": 0}
        settled |= {"rounds": 0, "retry_at": None}
        ends = [
            UpdateOne(*_ending(f.entry, f.attempt, JobState.DONE, "done", now, {**settled, "result_id": f.result_id}))
            for f in finished
        ]
        self._jobs.bulk_write(ends, ordered=False)

    def fail(
        self,
        entry: LedgerEntry,
        *,
        attempt: str,
        code_version: str,
        error: JobError,
        retry_in_s: float | None = None,
    ) -> None:
        """Record that a claimed job failed, and when it is tried again by itself; gives the lease back."""
        told = {"code_version": code_version, "error": error.model_dump(), "force": None}
        self._end(entry, attempt, JobState.FAILED, "failed", {**told, "retry_at": self._in(retry_in_s)})

    def release(self, entry: LedgerEntry, *, attempt: str) -> None:
        """Give a claimed job back unfinished: nothing is known to be wrong with it."""
        self._end(entry, attempt, JobState.NEW, "released", {})

    def settle(self, entry: LedgerEntry, *, state: JobState, retry_in_s: float | None = None, **fields: Any) -> None:
        """Record the state of a job that nobody has claimed: reused, or refused before a claim.

        Without effect when somebody asked to compute the job again after ``entry`` was read: that wish stays. A job
        that has changed its state since is not failed either: it may have been finished.
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
        self._jobs.update_one(match, {"$set": change})

    # -- repair --------------------------------------------------------------------------------------------------

    def release_lost(self, analysis: str, *, dead_runs: Sequence[str]) -> int:
        """Make running jobs new whose lease has expired or whose run has ended; returns how many."""
        now = self.now()
        gone = {
            "analysis": analysis,
            "state": JobState.RUNNING.value,
            "$or": [{"lease.until": {"$lt": now}}, {"lease.run_id": {"$in": list(dead_runs)}}],
        }
        back = {"$set": {"state": JobState.NEW.value, "lease": None, "updated": now}}
        return self._jobs.update_many(gone, back).modified_count

    def retry_due(self, analysis: str) -> int:
        """Make failed jobs new whose next round has come; returns how many."""
        now = self.now()
        due = {"analysis": analysis, "state": JobState.FAILED.value, "retry_at": {"$lte": now}, "rounds": {"$gte": 0}}
        anew = {"state": JobState.NEW.value, "retry_at": None, "fruitless": 0, "updated": now}
        return self._jobs.update_many(due, {"$set": anew, "$inc": {"rounds": 1}}).modified_count

    def fail_hopeless(self, analysis: str, job_keys: Sequence[str], *, code_version: str) -> int:
        """Fail new jobs that run after run left unfinished, because they are probably what ends the runs.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : sequence of str
            New jobs that no unfinished run covers.
        code_version : str
            The analysis's current code, which they failed with.

        Returns
        -------
        int
            How many failed.
        """
        message = (
            f"{UNFINISHED_RUNS.attempts} runs in a row ended or vanished without finishing this job; see their logs."
        )
        error = JobError(kind="lost", message=message, permanent=False)
        match = {
            "_id": {"$in": [job_id(analysis, key) for key in job_keys]},
            "state": JobState.NEW.value,
            "fruitless": {"$gte": UNFINISHED_RUNS.attempts},
        }
        told = {"error": error.model_dump(), "code_version": code_version}
        change = {"state": JobState.FAILED.value, "fruitless": 0, "updated": self.now(), **told}
        return self._jobs.update_many(match, {"$set": change}).modified_count

    def count_request(self, analysis: str, job_keys: Sequence[str]) -> None:
        """Count that a run is asked for these jobs: its key covers the number, so the next run gets another key."""
        match = {"_id": {"$in": [job_id(analysis, key) for key in job_keys]}}
        self._jobs.update_many(match, {"$inc": {"requests": 1, "fruitless": 1}})

    # -- inside --------------------------------------------------------------------------------------------------

    def _in(self, seconds: float | None) -> datetime | None:
        """Return the server's time so many seconds from now."""
        return None if seconds is None else self.now() + timedelta(seconds=seconds)

    def _end(self, entry: LedgerEntry, attempt: str, state: JobState, outcome: str, fields: Document) -> None:
        """End a claimed attempt; without effect when the claim was lost."""
        match, change = _ending(entry, attempt, state, outcome, self.now(), fields)
        self._jobs.update_one(match, change)


def _ending(
    entry: LedgerEntry, attempt: str, state: JobState, outcome: str, now: datetime, fields: Document
) -> tuple[Document, Document]:
    """Return the update that ends an attempt, and its filter: one that has lost its claim ends nothing."""
    ended: Document = {"attempts.$.ended": now, "attempts.$.outcome": outcome}
    if fields.get("error"):
        ended["attempts.$.error"] = fields["error"]
    change = {"$set": {"state": state.value, "lease": None, "updated": now, **fields, **ended}}
    return {"_id": job_id(entry.analysis, entry.job_key), "lease.attempt": attempt, "attempts.attempt": attempt}, change
