"""The ledger: one document per job, and the truth about its state.

Every change is one atomic update whose filter says from which state it starts, so two workers never both succeed, and
repeating a change after a lost answer does no harm. Time is always the server's.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field
from pymongo import UpdateOne
from pymongo.collection import Collection

from domain.job_state import JobError, JobState, LedgerEntry
from domain.stored_job import Source, StoredJob
from resources.mongo import Document, MongoConnection

LEASE_S = 60.0
KEPT_ATTEMPTS = 20
MAX_FRUITLESS = 5
_INDEXES = (("analysis", "state", "created", "_id"), ("lease.owner",))


class Ledger(dg.ConfigurableResource["Ledger"]):
    """Small verbs on the jobs of all analyses."""

    mongo: dg.ResourceDependency[MongoConnection]
    records_name: str = Field(description="DOCDB_COLLECTION; the ledger is `<name>_jobs`.")

    # -- taking jobs in ------------------------------------------------------------------------------------------

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
        now = self.mongo.now()
        writes = [_upsert(job, source, now) for job, source in requests]
        jobs = self._jobs()
        self.mongo.call(lambda: jobs.bulk_write(writes, ordered=False))
        stale = {
            "_id": {"$in": [job_id(job.analysis, job.job_key) for job, _ in requests]},
            "state": {"$in": [JobState.DONE.value, JobState.FAILED.value]},
            "code_version": {"$ne": code_version},
        }
        anew = {"state": JobState.NEW.value, "updated": now, "fruitless": 0}
        self.mongo.call(lambda: jobs.update_many(stale, {"$set": anew}))

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
        now = self.mongo.now()
        change: Document = {"state": JobState.NEW.value, "updated": now, "fruitless": 0}
        if force:
            change["force"] = {"reason": reason or f"asked for by {who}", "who": who, "when": now}
        match = {
            "_id": {"$in": [job_id(analysis, key) for key in job_keys]},
            "state": {"$in": [s.value for s in JobState if s is not JobState.RUNNING]},
        }
        jobs = self._jobs()
        return self.mongo.call(lambda: jobs.update_many(match, {"$set": change})).matched_count

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, analysis: str, job_key: str) -> LedgerEntry | None:
        """Return a job's entry, or None."""
        return self.get_many(analysis, [job_key]).get(job_key)

    def get_many(self, analysis: str, job_keys: Iterable[str]) -> dict[str, LedgerEntry]:
        """Return the entries of those keys that are known, in one query."""
        ids = [job_id(analysis, key) for key in job_keys]
        jobs = self._jobs()
        found = self.mongo.call(lambda: list(jobs.find({"_id": {"$in": ids}})))
        return {d["job_key"]: LedgerEntry.model_validate(d) for d in found}

    def keys_in(self, analysis: str, state: JobState, *, limit: int = 0, **match: Any) -> list[str]:
        """Return the keys of an analysis's jobs in a state, oldest first.

        Parameters
        ----------
        limit : int
            At most so many; 0: all.
        match
            Further fields that must be equal, or a condition on them.
        """
        jobs = self._jobs()
        query = {"analysis": analysis, "state": state.value, **match}
        cursor = self.mongo.call(
            lambda: list(jobs.find(query, {"job_key": 1}).sort([("created", 1), ("_id", 1)]).limit(limit))
        )
        return [d["job_key"] for d in cursor]

    def summaries(self, analysis: str, job_keys: Iterable[str]) -> dict[str, tuple[JobState, str | None, int]]:
        """Return state, code version and number of run requests of those keys that are known."""
        ids = [job_id(analysis, key) for key in job_keys]
        fields = {"job_key": 1, "state": 1, "code_version": 1, "requests": 1}
        jobs = self._jobs()
        found = self.mongo.call(lambda: list(jobs.find({"_id": {"$in": ids}}, fields)))
        return {d["job_key"]: (JobState(d["state"]), d.get("code_version"), d.get("requests", 0)) for d in found}

    def counts(self, analysis: str) -> dict[JobState, int]:
        """Return how many jobs of an analysis are in each state."""
        jobs = self._jobs()
        return {
            s: self.mongo.call(lambda s=s: jobs.count_documents({"analysis": analysis, "state": s.value}))  # type: ignore[misc]
            for s in JobState
        }

    def runs_at_work(self, analysis: str) -> list[str]:
        """Return the Dagster runs that hold leases on jobs of an analysis."""
        jobs = self._jobs()
        match = {"analysis": analysis, "state": JobState.RUNNING.value}
        return [r for r in self.mongo.call(lambda: jobs.distinct("lease.run_id", match)) if r]

    def runs_with_leases(self, run_ids: Iterable[str]) -> set[str]:
        """Return those of some Dagster runs that hold leases on jobs, of whatever analysis."""
        jobs = self._jobs()
        match = {"state": JobState.RUNNING.value, "lease.run_id": {"$in": list(run_ids)}}
        return set(self.mongo.call(lambda: jobs.distinct("lease.run_id", match)))

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
        now = self.mongo.now()
        lease = {"owner": owner, "attempt": attempt, "run_id": run_id, "until": now + timedelta(seconds=LEASE_S)}
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
        jobs = self._jobs()
        self.mongo.call(lambda: jobs.update_one(match, change))
        now_stored = self.get(entry.analysis, entry.job_key)  # also right when the answer to the update was lost
        ours = now_stored is not None and now_stored.lease is not None and now_stored.lease.attempt == attempt
        return now_stored if ours else None

    def extend_leases(self, owner: str) -> int:
        """Extend every lease of a worker process; returns how many it holds."""
        until = self.mongo.now() + timedelta(seconds=LEASE_S)
        match = {"lease.owner": owner, "state": JobState.RUNNING.value}
        jobs = self._jobs()
        return self.mongo.call(lambda: jobs.update_many(match, {"$set": {"lease.until": until}})).matched_count

    def finish(self, entry: LedgerEntry, *, attempt: str, code_version: str, result_id: str) -> None:
        """Record that a claimed job has its result, and give the lease back."""
        done = {"code_version": code_version, "result_id": result_id, "error": None, "force": None, "fruitless": 0}
        self._end(entry, attempt, JobState.DONE, "done", done)

    def fail(self, entry: LedgerEntry, *, attempt: str, code_version: str, error: JobError) -> None:
        """Record that a claimed job failed, and give the lease back."""
        told = error.model_dump()
        self._end(
            entry, attempt, JobState.FAILED, "failed", {"code_version": code_version, "error": told, "force": None}
        )

    def release(self, entry: LedgerEntry, *, attempt: str) -> None:
        """Give a claimed job back unfinished: nothing is known to be wrong with it."""
        self._end(entry, attempt, JobState.NEW, "released", {})

    def settle(self, entry: LedgerEntry, *, state: JobState, **fields: Any) -> None:
        """Record the state of a job that nobody has claimed: reused, or refused before a claim.

        Without effect when somebody asked to compute the job again after ``entry`` was read: that wish stays. A job
        that has changed its state since is not failed either: it may have been finished.
        """
        now = self.mongo.now()
        match = {
            "_id": job_id(entry.analysis, entry.job_key),
            "force.when": entry.force.when if entry.force else None,
            "$or": [{"state": {"$ne": JobState.RUNNING.value}}, {"lease.until": {"$lt": now}}],
        }
        if state is JobState.FAILED:
            match["state"] = entry.state.value
        change = {"state": state.value, "lease": None, "force": None, "fruitless": 0, "updated": now, **fields}
        jobs = self._jobs()
        self.mongo.call(lambda: jobs.update_one(match, {"$set": change}))

    # -- repair --------------------------------------------------------------------------------------------------

    def release_lost(self, analysis: str, *, dead_runs: Sequence[str]) -> int:
        """Make running jobs new whose lease has expired or whose run has ended; returns how many."""
        now = self.mongo.now()
        gone = {
            "analysis": analysis,
            "state": JobState.RUNNING.value,
            "$or": [{"lease.until": {"$lt": now}}, {"lease.run_id": {"$in": list(dead_runs)}}],
        }
        back = {"$set": {"state": JobState.NEW.value, "lease": None, "updated": now}}
        jobs = self._jobs()
        return self.mongo.call(lambda: jobs.update_many(gone, back)).modified_count

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
        message = f"{MAX_FRUITLESS} runs in a row ended or vanished without finishing this job; see their logs."
        error = JobError(kind="lost", message=message, permanent=False)
        match = {
            "_id": {"$in": [job_id(analysis, key) for key in job_keys]},
            "state": JobState.NEW.value,
            "fruitless": {"$gte": MAX_FRUITLESS},
        }
        told = {"error": error.model_dump(), "code_version": code_version}
        change = {"state": JobState.FAILED.value, "fruitless": 0, "updated": self.mongo.now(), **told}
        jobs = self._jobs()
        return self.mongo.call(lambda: jobs.update_many(match, {"$set": change})).modified_count

    def count_request(self, analysis: str, job_keys: Sequence[str]) -> None:
        """Count that a run is asked for these jobs: its key covers the number, so the next run gets another key."""
        match = {"_id": {"$in": [job_id(analysis, key) for key in job_keys]}}
        jobs = self._jobs()
        self.mongo.call(lambda: jobs.update_many(match, {"$inc": {"requests": 1, "fruitless": 1}}))

    # -- inside --------------------------------------------------------------------------------------------------

    def _end(self, entry: LedgerEntry, attempt: str, state: JobState, outcome: str, fields: Document) -> None:
        """End a claimed attempt; without effect when the claim was lost."""
        now = self.mongo.now()
        job = job_id(entry.analysis, entry.job_key)
        jobs = self._jobs()
        ended: Document = {"attempts.$.ended": now, "attempts.$.outcome": outcome}
        if fields.get("error"):
            ended["attempts.$.error"] = fields["error"]
        change = {"$set": {"state": state.value, "lease": None, "updated": now, **fields, **ended}}
        match = {"_id": job, "lease.attempt": attempt, "attempts.attempt": attempt}
        self.mongo.call(lambda: jobs.update_one(match, change))

    def _jobs(self) -> Collection[Document]:
        """Return the collection of jobs."""
        return self.mongo.collection(f"{self.records_name}_jobs", indexes=_INDEXES)


def job_id(analysis: str, job_key: str) -> str:
    """Return the ``_id`` of a job: a key alone may belong to several analyses."""
    return f"{analysis}/{job_key}"


def _upsert(job: StoredJob, source: Source, now: datetime) -> UpdateOne:
    """Store a job if it is unknown, and add who asked for it."""
    first = {
        **job.model_dump(mode="json"),
        "state": JobState.NEW.value,
        "attempt_number": 0,
        "requests": 0,
        "fruitless": 0,
        "lease": None,
        "error": None,
        "force": None,
        "created": now,
        "updated": now,
    }
    asked = {"sources": source.model_dump(mode="json")}
    return UpdateOne(
        {"_id": job_id(job.analysis, job.job_key)}, {"$setOnInsert": first, "$addToSet": asked}, upsert=True
    )
