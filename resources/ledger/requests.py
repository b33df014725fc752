"""Requests for jobs: to compute them, to compute them again, or to stop.

Every change is one atomic update whose filter says from which state it starts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.failures import ENDED_BY_PEOPLE, JobError
from domain.job.state import JobState, LedgerEntry
from domain.job.stored import Source, StoredJob
from domain.retry import UNFINISHED_RUNS
from resources.ledger.documents import FENCE, RESET, change_to, id_chunks, job_id, readable_entry
from resources.ledger.sources import writes_of
from resources.mongo_collection import Document, RetryingCollection

_IDLE = tuple(state for state in JobState if state is not JobState.RUNNING)


@dataclass(frozen=True)
class Requests:
    """Stores the requests of operators, job files and sensors.

    Attributes
    ----------
    documents : RetryingCollection
        The jobs.
    now : callable
        Returns the server's time.
    """

    documents: RetryingCollection
    now: Callable[[], datetime]

    def store(self, requests: Sequence[tuple[StoredJob, Source]], *, code_version: str) -> None:
        """Store jobs as new, and add each request to those that are known.

        A finished or failed job whose code has changed since becomes new: a request is for the current code. One that is
        still computed by other code keeps the request, and becomes new when that has ended (`requeue_for_code`).

        Parameters
        ----------
        requests : sequence of (StoredJob, Source)
            Jobs of one analysis, and the source of each request.
        code_version : str
            The analysis's current code.
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
        for ids in id_chunks(analysis, keys):
            outdated = {"_id": {"$in": ids}, "state": ended, "code_version": {"$ne": code_version}}
            self.documents.update_many(outdated, change_to({"state": JobState.NEW.value, **RESET}, now))

    def request_code(self, analysis: str, job_keys: Iterable[str], *, code_version: str) -> None:
        """Note with jobs that a code version is requested, unless their result or failure is of that code.

        A run that executes other code meanwhile does not answer the request.
        """
        waiting = {"$in": [JobState.NEW.value, JobState.RUNNING.value]}
        for ids in id_chunks(analysis, job_keys):
            match = {"_id": {"$in": ids}, "$or": [{"state": waiting}, {"code_version": {"$ne": code_version}}]}
            self.documents.update_many(match, {"$set": {"requested_code": code_version}, "$inc": {"revision": 1}})

    def requeue_for_code(self, analysis: str, *, code_version: str) -> int:
        """Make jobs new that have ended with other code although the current one was requested; returns how many."""
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
        """Note that Dagster may show an earlier result of a job, because it was reported after a newer one."""
        self.documents.update_one({"_id": job_id(analysis, job_key)}, {"$set": {"unreported": True}})

    def requeue_unreported(self, analysis: str) -> int:
        """Make finished jobs new that Dagster may show an earlier result of, so that the current one is reused; returns how many."""
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
        """Make finished or failed jobs new, because an operator requests it.

        A force stays with the job until an attempt that was claimed after it has the result.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : iterable of str
            The jobs.
        who : str
            The operator; kept when forced.
        reason : str, optional
            Why; kept when forced.
        force : bool
            Compute even what has a result.
        ended_by_people : bool
            Also cancelled and invalidated jobs, which only an operator requeues.

        Returns
        -------
        int
            How many became new, or were new and are now forced.
        """
        change: Document = {"state": JobState.NEW.value, **RESET}
        if force:
            change |= {"force": {"reason": reason or f"requested by {who}", "who": who, "when": self.now()}, **FENCE}
        match = {} if ended_by_people else {"error.kind": {"$nin": list(ENDED_BY_PEOPLE)}}
        return self._change(analysis, job_keys, _IDLE, change, match)

    def requeue_due(self, analysis: str) -> int:
        """Make failed jobs new whose delayed retry is due; returns how many."""
        now = self.now()
        due = {"analysis": analysis, "state": JobState.FAILED.value, "retry_at": {"$lte": now}, "rounds": {"$gte": 0}}
        change = change_to({"state": JobState.NEW.value, "retry_at": None, "fruitless": 0}, now)
        change["$inc"]["rounds"] = 1
        return self.documents.update_many(due, change).modified_count

    def cancel(self, analysis: str, job_keys: Iterable[str], *, who: str, reason: str, code_version: str) -> int:
        """End jobs that wait or run, because an operator requests it.

        A worker that has one of them notices at its next heartbeat, ends the job's process and publishes nothing. A job
        whose record is just being inserted is not cancelled.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : iterable of str
            The jobs; those that have ended already stay as they are.
        who, reason : str
            Kept with the jobs.
        code_version : str
            The analysis's current code: a later file that requests other code makes the job new.

        Returns
        -------
        int
            How many were cancelled.
        """
        ended = _ended_by("cancelled", f"Cancelled by {who}: {reason}", code_version)
        return self._change(analysis, job_keys, [JobState.NEW, JobState.RUNNING], ended, {"committing": None})

    def invalidate(self, entry: LedgerEntry, *, who: str, reason: str, code_version: str) -> LedgerEntry | None:
        """Fail a job whose result is wrong; the record store invalidates its record.

        Parameters
        ----------
        entry : LedgerEntry
            The job, as it was read before its result.
        who, reason : str
            Kept with it.
        code_version : str
            Code of the result.

        Returns
        -------
        LedgerEntry or None
            The job, with the attempts that were made so far: none of them may become its result. None if it is
            running, unknown, or has changed since ``entry`` was read, so that it may have another result: nothing was changed.
        """
        ended = _ended_by("invalidated", f"Invalidated by {who}: {reason}", code_version)
        one = {"_id": job_id(entry.analysis, entry.job_key)}
        idle = {"state": {"$in": [s.value for s in _IDLE]}, "revision": entry.revision or None}
        change = change_to({**ended, **FENCE, "committing": None}, self.now())
        changed = self.documents.find_one_and_update({**one, **idle}, change)
        if changed is None:  # changed after all, if the answer was lost
            changed = self.documents.find_one({**one, "error": ended["error"], "revision": entry.revision + 1})
        return None if changed is None else readable_entry(changed)

    def archive(self, analysis: str, job_keys: Iterable[str]) -> int:
        """Archive those of some jobs that are done; returns how many.

        Dagster has no partition for an archived job, and no tick, retry or later job file changes it: its result stays.
        """
        return self._move(analysis, job_keys, JobState.DONE, JobState.ARCHIVED)

    def restore(self, analysis: str, job_keys: Iterable[str]) -> int:
        """Make those of some jobs done again that are archived; returns how many."""
        return self._move(analysis, job_keys, JobState.ARCHIVED, JobState.DONE)

    def count_run_request(self, analysis: str, requests: Mapping[str, int]) -> None:
        """Count that a run is requested for some jobs: its key contains the number, so the next run gets another key.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        requests : mapping of str to int
            Keys of jobs, each with its number of requests so far. A job with another number is counted already.
        """
        now = self.now()
        for number in sorted(set(requests.values())):
            change = {"$set": {"requests": number + 1, "requested_at": now}, "$inc": {"unstarted": 1}}
            counted = {"$in": [0, None]} if number == 0 else number
            for ids in id_chunks(analysis, [key for key, count in requests.items() if count == number]):
                self.documents.update_many({"_id": {"$in": ids}, "requests": counted}, change)

    def count_started_run(self, analysis: str, job_keys: Iterable[str], *, run_id: str) -> None:
        """Count for new jobs that a run has started with them; the count is reset when they end. A run counts once.

        Parameters
        ----------
        analysis : str
            Name of the analysis.
        job_keys : iterable of str
            The run's jobs.
        run_id : str
            The Dagster run.
        """
        fields = {"counted_run": run_id, "unstarted": 0}
        for ids in id_chunks(analysis, job_keys):
            match = {"_id": {"$in": ids}, "state": JobState.NEW.value}
            again, first = {"$exists": True, "$ne": run_id}, {"$exists": False}
            self.documents.update_many({**match, "counted_run": again}, {"$set": fields, "$inc": {"fruitless": 1}})
            # until release 0.1 the number counted requests, also of runs that never started
            self.documents.update_many({**match, "counted_run": first}, {"$set": {**fields, "fruitless": 1}})

    def fail_crash_looping(self, analysis: str, job_keys: Sequence[str], *, code_version: str) -> int:
        """Fail new jobs that several runs in a row started with and did not finish: they are probably what ends the runs.

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
            f"{UNFINISHED_RUNS.attempts} runs in a row started and ended without finishing this job; see their logs."
        )
        error = JobError(kind="lost", message=message, permanent=False)
        match = {
            "_id": {"$in": [job_id(analysis, key) for key in job_keys]},
            "state": JobState.NEW.value,
            "fruitless": {"$gte": UNFINISHED_RUNS.attempts},
            "counted_run": {"$exists": True},
        }
        fields = {"error": error.model_dump(), "code_version": code_version, "requested_code": None}
        change = change_to({"state": JobState.FAILED.value, "fruitless": 0, **fields}, self.now())
        return self.documents.update_many(match, change).modified_count

    def _move(self, analysis: str, job_keys: Iterable[str], before: JobState, after: JobState) -> int:
        """Move jobs between two states; returns how many. The time of their last result or reuse stays."""
        moved = 0
        for ids in id_chunks(analysis, job_keys):
            match = {"_id": {"$in": ids}, "state": before.value}
            change = {"$set": {"state": after.value}, "$inc": {"revision": 1}}
            moved += self.documents.update_many(match, change).matched_count
        return moved

    def _change(
        self,
        analysis: str,
        job_keys: Iterable[str],
        states: Iterable[JobState],
        fields: Document,
        match: Document | None = None,
    ) -> int:
        """Set fields of those jobs that are in one of some states, and match; returns how many."""
        among, change, changed = {"$in": [s.value for s in states]}, change_to(fields, self.now()), 0
        for ids in id_chunks(analysis, job_keys):
            one_of = {"_id": {"$in": ids}, "state": among, **(match or {})}
            changed += self.documents.update_many(one_of, change).matched_count
        return changed


def failed_by(kinds: Sequence[str]) -> Document:
    """Return the condition on ``error.kind`` of failed jobs that an operator requeues.

    Parameters
    ----------
    kinds : sequence of str
        Kinds of failure; empty: all but those that an operator ended, which only their name brings back.
    """
    return {"$in": list(kinds)} if kinds else {"$nin": list(ENDED_BY_PEOPLE)}


def _ended_by(kind: Any, message: str, code_version: str) -> Document:
    """Return the fields of a job that an operator has ended."""
    error = JobError(kind=kind, message=message, permanent=True).model_dump()
    ended = {"state": JobState.FAILED.value, "lease": None, "force": None, "error": error}
    return {**ended, "code_version": code_version, "requested_code": None, **RESET}
