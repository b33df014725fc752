"""What people and their files wish of the ledger: jobs to be computed, again, or no more.

Every change is one atomic update whose filter says from which state it starts.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from domain.failures import ENDED_BY_PEOPLE, JobError
from domain.job.state import JobState
from domain.job.stored import Source, StoredJob
from resources.ledger.reader import LedgerReader, id_chunks, job_id
from resources.ledger.sources import writes_of
from resources.mongo_collection import Document

_AFRESH: Document = {"fruitless": 0, "rounds": 0, "retry_at": None}
"""What a wish resets: whatever the platform counted to tell that trying again is no use."""


class LedgerWishes(LedgerReader):
    """Small verbs for everything that is asked for from outside."""

    def store(self, requests: Sequence[tuple[StoredJob, Source]], *, code_version: str) -> None:
        """Store jobs as new, and add each request to those that are known.

        A finished or failed job whose code has changed since becomes new: asking for it asks for the current code.

        Parameters
        ----------
        requests : sequence of (StoredJob, Source)
            Jobs of one analysis, and who asked for each.
        code_version : str
            The analysis's current code.
        """
        if not requests:
            return
        now = self.now()
        afresh = {**_AFRESH, "created": now, "updated": now}
        writes = [write for job, source in requests for write in writes_of(job, source, afresh)]
        jobs = self._jobs
        jobs.bulk_write(writes, ordered=False)
        stale = {
            "_id": {"$in": [job_id(job.analysis, job.job_key) for job, _ in requests]},
            "state": {"$in": [JobState.DONE.value, JobState.FAILED.value]},
            "code_version": {"$ne": code_version},
        }
        anew = {"state": JobState.NEW.value, "updated": now, **_AFRESH}
        jobs.update_many(stale, {"$set": anew})

    def ask_again(
        self, analysis: str, job_keys: Iterable[str], *, who: str, reason: str | None = None, force: bool = False
    ) -> int:
        """Make finished or failed jobs new, because a person asks.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : iterable of str
            The jobs.
        who : str
            Who asks; kept when forced.
        reason : str, optional
            Why; kept when forced.
        force : bool
            Compute even what has a result.

        Returns
        -------
        int
            How many became new, or were new and are now forced.
        """
        now = self.now()
        change: Document = {"state": JobState.NEW.value, "updated": now, **_AFRESH}
        if force:
            change["force"] = {"reason": reason or f"requested by {who}", "who": who, "when": now}
        idle = [s for s in JobState if s is not JobState.RUNNING]
        return self._change_all(analysis, job_keys, idle, {"$set": change})

    def cancel(self, analysis: str, job_keys: Iterable[str], *, who: str, reason: str, code_version: str) -> int:
        """End jobs that wait or run, because a person wants that.

        A worker that has one of them learns it by its next heartbeat, ends the job's process and publishes nothing.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : iterable of str
            The jobs; those that have ended already stay as they are.
        who, reason : str
            Kept with the jobs.
        code_version : str
            The analysis's current code: a later file that asks for other code makes the job new.

        Returns
        -------
        int
            How many were cancelled.
        """
        ended = _ended_by("cancelled", f"Cancelled by {who}: {reason}", code_version)
        keys, change = list(job_keys), {"$set": {**ended, "updated": self.now()}}
        return self._change_all(analysis, keys, [JobState.NEW, JobState.RUNNING], change)

    def invalidate(self, analysis: str, job_key: str, *, who: str, reason: str, code_version: str) -> bool:
        """Fail a job whose result is wrong; its record is the record store's business.

        Parameters
        ----------
        analysis, job_key : str
            The job.
        who, reason : str
            Kept with it.
        code_version : str
            Code of the result.

        Returns
        -------
        bool
            False if the job is running or not known: nothing was changed.
        """
        ended = _ended_by("invalidated", f"Invalidated by {who}: {reason}", code_version)
        idle = [s for s in JobState if s is not JobState.RUNNING]
        return self._change_all(analysis, [job_key], idle, {"$set": {**ended, "updated": self.now()}}) == 1

    def _change_all(self, analysis: str, job_keys: Iterable[str], states: Iterable[JobState], change: Document) -> int:
        """Change those of the jobs that are in one of some states; returns how many."""
        jobs, among = self._jobs, [s.value for s in states]
        changed = 0
        for ids in id_chunks(analysis, job_keys):
            match = {"_id": {"$in": ids}, "state": {"$in": among}}
            changed += jobs.update_many(match, change).matched_count
        return changed


def failed_by(kinds: Sequence[str]) -> Document:
    """Return the condition on ``error.kind`` of failed jobs that an operator requeues.

    Parameters
    ----------
    kinds : sequence of str
        Kinds of failure; empty: all but those that a person ended, which only their name brings back.
    """
    return {"$in": list(kinds)} if kinds else {"$nin": list(ENDED_BY_PEOPLE)}


def _ended_by(kind: Any, message: str, code_version: str) -> Document:
    """Return the fields of a job that a person has ended."""
    error = JobError(kind=kind, message=message, permanent=True).model_dump()
    ended = {"state": JobState.FAILED.value, "lease": None, "force": None, "error": error}
    return {**ended, "code_version": code_version, **_AFRESH}
