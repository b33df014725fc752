"""Requests for jobs: to compute them, to compute them again, or to stop.

Every change is one atomic update whose filter says from which state it starts.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.failures import ENDED_BY_PEOPLE, JobError
from domain.job.state import JobState, LedgerEntry
from domain.job.stored import Source, StoredJob
from resources.ledger.documents import FENCE, RESET, change_to, job_id, readable_entry, update_jobs
from resources.ledger.sources import writes_of
from resources.mongo_collection import Document, RetryingCollection

_IDLE = tuple(state for state in JobState if state is not JobState.RUNNING)


@dataclass(frozen=True)
class Requests:
    """Stores the requests of operators, job files and sensors.

    Attributes
    ----------
    documents : RetryingCollection
        Collection of jobs, one document per job.
    now : callable
        Returns the server's time.
    """

    documents: RetryingCollection
    now: Callable[[], datetime]

    def store(self, requests: Sequence[tuple[StoredJob, Source]], *, code_version: str) -> None:
        """Store unknown jobs as new, and add the requests to known ones.

        A finished or failed job of an older code version becomes new, because a request is for the current code. A job that
        an older code version is computing keeps the request, and becomes new when its run ends (`requeue_for_code`).

        Parameters
        ----------
        requests : sequence of (StoredJob, Source)
            Jobs of one analysis, and the source of each request.
        code_version : str
            Current code version of the analysis.
        """
        if not requests:
            return
        now = self.now()
        fields = {**RESET, "created": now, "updated": now, "requested_code": code_version}
        writes = [write for job, source in requests for write in writes_of(job, source, fields)]
        self.documents.bulk_write(writes, ordered=False)
        analysis, keys = requests[0][0].analysis, [job.job_key for job, _ in requests]
        self.request_code(analysis, keys, code_version=code_version)
        ended = {"$in": [JobState.DONE.value, JobState.FAILED.value]}
        outdated = {"state": ended, "code_version": {"$ne": code_version}}
        update_jobs(self.documents, analysis, keys, outdated, change_to({"state": JobState.NEW.value, **RESET}, now))

    def request_code(self, analysis: str, job_keys: Iterable[str], *, code_version: str) -> None:
        """Record that a code version is requested for jobs, unless their result or failure is from that version.

        A run that executes another code version meanwhile does not answer the request.
        """
        waiting = {"$in": [JobState.NEW.value, JobState.RUNNING.value]}
        match = {"$or": [{"state": waiting}, {"code_version": {"$ne": code_version}}]}
        update_jobs(
            self.documents,
            analysis,
            job_keys,
            match,
            {"$set": {"requested_code": code_version}, "$inc": {"revision": 1}},
        )

    def requeue_for_code(self, analysis: str, *, code_version: str) -> int:
        """Requeue jobs that ended with another code version than was requested; return their number."""
        match = {
            "analysis": analysis,
            "state": {"$in": [JobState.DONE.value, JobState.FAILED.value]},
            "requested_code": {"$gt": ""},
            "code_version": {"$ne": code_version},
            "error.kind": {"$nin": list(ENDED_BY_PEOPLE)},
        }
        change = change_to({"state": JobState.NEW.value, "requested_code": code_version, **RESET}, self.now())
        return self.documents.update_many(match, change).modified_count

    def report_again(self, analysis: str, job_key: str) -> None:
        """Record that Dagster may show an earlier result of a job, because it was reported after a newer one."""
        self.documents.update_one({"_id": job_id(analysis, job_key)}, {"$set": {"unreported": True}})

    def requeue_unreported(self, analysis: str) -> int:
        """Requeue finished jobs of which Dagster may show an earlier result, so that the current one is reused; return their number."""
        match = {"analysis": analysis, "unreported": True, "state": JobState.DONE.value}
        change = change_to({"state": JobState.NEW.value, "unreported": False}, self.now())
        return self.documents.update_many(match, change).modified_count

    def requeue(
        self,
        analysis: str,
        job_keys: Iterable[str],
        *,
        who: str,
        reason: str | None = None,
        force: bool = False,
        ended_by_people: bool = True,
    ) -> int:
        """Requeue finished or failed jobs at the request of an operator.

        A force stays with the job until an attempt that was claimed after it has published the result.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : iterable of str
            Keys of the jobs.
        who : str
            Name of the operator; stored if `force` is set.
        reason : str, optional
            Reason; stored if `force` is set.
        force : bool
            Also compute jobs that have a result.
        ended_by_people : bool
            Also cancelled and invalidated jobs, which only an operator requeues.

        Returns
        -------
        int
            Number of jobs that became new, or were new and are now forced.
        """
        change: Document = {"state": JobState.NEW.value, **RESET}
        if force:
            change |= {"force": {"reason": reason or f"requested by {who}", "who": who, "when": self.now()}, **FENCE}
        match = {} if ended_by_people else {"error.kind": {"$nin": list(ENDED_BY_PEOPLE)}}
        return self._change(analysis, job_keys, _IDLE, change, match)

    def requeue_due(self, analysis: str) -> int:
        """Requeue failed jobs whose delayed retry is due; return their number."""
        now = self.now()
        due = {"analysis": analysis, "state": JobState.FAILED.value, "retry_at": {"$lte": now}, "rounds": {"$gte": 0}}
        change = change_to({"state": JobState.NEW.value, "retry_at": None, "fruitless": 0}, now)
        change["$inc"]["rounds"] = 1
        return self.documents.update_many(due, change).modified_count

    def cancel(self, analysis: str, job_keys: Iterable[str], *, who: str, reason: str, code_version: str) -> int:
        """Cancel new and running jobs at the request of an operator.

        A worker detects it at its next heartbeat, ends the job's process and publishes nothing. A job whose record is being
        inserted is not cancelled.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : iterable of str
            Keys of the jobs; those that have ended stay as they are.
        who, reason : str
            Operator and reason, stored with the jobs.
        code_version : str
            Current code version of the analysis: a later job file for another code version makes the job new.

        Returns
        -------
        int
            Number of cancelled jobs.
        """
        ended = _ended_by("cancelled", f"Cancelled by {who}: {reason}", code_version)
        return self._change(analysis, job_keys, [JobState.NEW, JobState.RUNNING], ended, {"committing": None})

    def invalidate(self, entry: LedgerEntry, *, who: str, reason: str, code_version: str) -> LedgerEntry | None:
        """Fail a job whose result is wrong; the record store invalidates its record.

        Parameters
        ----------
        entry : LedgerEntry
            The ledger's entry of the job, read before its result.
        who, reason : str
            Operator and reason, stored with the job.
        code_version : str
            Code version that made the result.

        Returns
        -------
        LedgerEntry or None
            The job, with its attempts, none of which may become its result. None if it is running or unknown, or has
            changed since ``entry`` was read, so that it may have another result; then nothing is changed.
        """
        ended = _ended_by("invalidated", f"Invalidated by {who}: {reason}", code_version)
        one = {"_id": job_id(entry.analysis, entry.job_key)}
        idle = {"state": {"$in": [s.value for s in _IDLE]}, "revision": entry.revision or None}
        change = change_to({**ended, **FENCE, "committing": None}, self.now())
        changed = self.documents.find_one_and_update({**one, **idle}, change)
        if changed is None:  # changed after all, if the response was lost
            changed = self.documents.find_one({**one, "error": ended["error"], "revision": entry.revision + 1})
        return None if changed is None else readable_entry(changed)

    def archive(self, analysis: str, job_keys: Iterable[str]) -> int:
        """Archive the jobs that are done; return their number.

        Dagster has no partition for an archived job, and no tick, retry or later job file changes it: its result stays.
        """
        return self._move(analysis, job_keys, JobState.DONE, JobState.ARCHIVED)

    def restore(self, analysis: str, job_keys: Iterable[str]) -> int:
        """Make archived jobs done again; return their number."""
        return self._move(analysis, job_keys, JobState.ARCHIVED, JobState.DONE)

    def _move(self, analysis: str, job_keys: Iterable[str], before: JobState, after: JobState) -> int:
        """Move jobs between two states, without the time of their last result or reuse; return their number."""
        change = {"$set": {"state": after.value}, "$inc": {"revision": 1}}
        return update_jobs(self.documents, analysis, job_keys, {"state": before.value}, change)

    def _change(
        self,
        analysis: str,
        job_keys: Iterable[str],
        states: Iterable[JobState],
        fields: Document,
        match: Document | None = None,
    ) -> int:
        """Set fields of the jobs that match and are in one of the states; return their number."""
        among = {"state": {"$in": [s.value for s in states]}, **(match or {})}
        return update_jobs(self.documents, analysis, job_keys, among, change_to(fields, self.now()))


def failed_by(kinds: Sequence[str]) -> Document:
    """Return the condition on ``error.kind`` of failed jobs that an operator requeues.

    Parameters
    ----------
    kinds : sequence of str
        Kinds of failure; empty for all, except cancelled and invalidated jobs, which must be named.
    """
    return {"$in": list(kinds)} if kinds else {"$nin": list(ENDED_BY_PEOPLE)}


def _ended_by(kind: Any, message: str, code_version: str) -> Document:
    """Return the fields of a job that an operator has ended."""
    error = JobError(kind=kind, message=message, permanent=True).model_dump()
    ended = {"state": JobState.FAILED.value, "lease": None, "force": None, "error": error}
    return {**ended, "code_version": code_version, "requested_code": None, **RESET}
