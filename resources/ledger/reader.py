"""Reading the ledger: one document per job, and the truth about its state."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import dagster as dg
from pydantic import Field, ValidationError

from domain.job.state import JobState, LedgerEntry
from domain.json_values import shown
from resources.mongo import Indexes, MongoConnection
from resources.mongo_collection import Document, RetryingCollection

_IDS_AT_ONCE = 10_000
_TOLD = 3
_FOR_REQUESTS = {"job_key": 1, "requests": 1, "fruitless": 1}
_WITHOUT_LOGS = {"error.traceback": 0, "error.log": 0, "attempts.error": 0}
_INDEXES = (
    ("analysis", "state", "created", "_id"),
    ("analysis", "-updated"),
    ("analysis", "retry_at"),
    ("lease.owner",),
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobBrief:
    """A job in short.

    Attributes
    ----------
    job_key : str
        Partition key.
    state : JobState
        Where it stands.
    result_id, code_version : str or None
        Its latest result, and the code of it.
    run_id : str or None
        The run that has claimed it.
    lease_until : datetime or None
        Until when.
    """

    job_key: str
    state: JobState
    result_id: str | None
    code_version: str | None
    run_id: str | None
    lease_until: datetime | None


class LedgerReader(dg.ConfigurableResource["LedgerReader"]):
    """Small questions about the jobs of all analyses."""

    mongo: dg.ResourceDependency[MongoConnection]
    records_name: str = Field(description="DOCDB_COLLECTION; the ledger is `<name>_jobs`.")

    def get(self, analysis: str, job_key: str) -> LedgerEntry | None:
        """Return a job's entry, or None."""
        return self.get_many(analysis, [job_key]).get(job_key)

    def get_many(self, analysis: str, job_keys: Iterable[str]) -> dict[str, LedgerEntry]:
        """Return the entries of those keys that are known, in one query."""
        entries = (readable_entry(d) for d in self._found(analysis, job_keys))
        return {entry.job_key: entry for entry in entries if entry is not None}

    def keys_in(self, analysis: str, state: JobState, *, match: Document | None = None, limit: int = 0) -> list[str]:
        """Return the keys of an analysis's jobs in a state, oldest first.

        Parameters
        ----------
        match : dict, optional
            Further fields that must be equal, or a condition on them.
        limit : int
            Maximum number of results (0 = all).
        """
        query = {"analysis": analysis, "state": state.value, **(match or {})}
        found = self._jobs.find(query, _FOR_REQUESTS, sort=[("created", 1), ("_id", 1)], limit=limit).to_list()
        return [key for d in found if (key := _key_of(d, analysis)) is not None and _can_count(d)]

    def summaries(self, analysis: str, job_keys: Iterable[str]) -> dict[str, tuple[JobState, str | None, int]]:
        """Return state, code version and number of run requests of those keys that are known."""
        found = self._found(analysis, job_keys, ("job_key", "state", "code_version", "requests"))
        return {
            key: (JobState(d["state"]), d.get("code_version"), _count(d.get("requests")))
            for d in found
            if (key := _key_of(d, analysis)) is not None and d.get("state") in list(JobState)
        }

    def counts(self, analysis: str) -> dict[JobState, int]:
        """Return how many jobs of an analysis are in each state."""
        jobs = self._jobs
        return {s: jobs.count_documents({"analysis": analysis, "state": s.value}) for s in JobState}

    def waiting_before(self, analysis: str, job_key: str) -> int:
        """Return how many new jobs of an analysis were asked for earlier than this one."""
        jobs = self._jobs
        mine = jobs.find_one({"_id": job_id(analysis, job_key)}, {"created": 1})
        if mine is None:
            return 0
        earlier = {"analysis": analysis, "state": JobState.NEW.value, "created": {"$lt": mine["created"]}}
        return jobs.count_documents(earlier)

    def runs_at_work(self, analysis: str) -> list[str]:
        """Return the Dagster runs that hold leases on jobs of an analysis."""
        match = {"analysis": analysis, "state": JobState.RUNNING.value}
        return [r for r in self._jobs.distinct("lease.run_id", match) if r and isinstance(r, str)]

    def briefs(self, analysis: str) -> Iterator[JobBrief]:
        """Yield every job of an analysis in short, in no order: what an audit reads."""
        fields = {"job_key": 1, "state": 1, "result_id": 1, "code_version": 1, "lease": 1}
        for d in self._jobs.find({"analysis": analysis}, fields):
            if _key_of(d, analysis) is None or d.get("state") not in list(JobState):
                continue  # damaged: `get_many` tells of it
            lease = d.get("lease") or {}
            state, result, until = JobState(d["state"]), d.get("result_id"), lease.get("until")
            yield JobBrief(d["job_key"], state, result, d.get("code_version"), lease.get("run_id"), until)

    def failures(self, analysis: str) -> Iterator[LedgerEntry]:
        """Yield every failed job of an analysis, in no order, without tracebacks and logs: those may be large."""
        match = {"analysis": analysis, "state": JobState.FAILED.value}
        for document in self._jobs.find(match, _WITHOUT_LOGS):
            entry = readable_entry(document)
            if entry is not None:
                yield entry

    def last_change(self, analysis: str) -> datetime | None:
        """Return when a job of an analysis last changed its state; None when there is no job."""
        found = self._jobs.find_one({"analysis": analysis}, {"updated": 1}, sort=[("updated", -1)])
        changed = (found or {}).get("updated")
        return changed if isinstance(changed, datetime) else None

    def at_work(self) -> dict[str, str]:
        """Return the attempts of all analyses that hold a lease, each with its Dagster run."""
        held = {"lease.owner": {"$gt": ""}}  # by the index on owners: as many as there are workers, not jobs
        found = self._jobs.find(held, {"lease.attempt": 1, "lease.run_id": 1}).to_list()
        return {d["lease"]["attempt"]: d["lease"]["run_id"] for d in found}

    def now(self) -> datetime:
        """Return the server's time, by which leases are judged."""
        return self.mongo.now()

    def _found(
        self, analysis: str, job_keys: Iterable[str], fields: tuple[str, ...] | None = None
    ) -> Iterator[Document]:
        """Yield the documents of those keys that are known; all fields unless some are named."""
        jobs = self._jobs
        for ids in id_chunks(analysis, job_keys):
            yield from jobs.find({"_id": {"$in": ids}}, fields).to_list()

    def _collection(self, kind: str, *, indexes: Indexes = ()) -> RetryingCollection:
        """Return one of the collections beside the records."""
        return self.mongo.collection(f"{self.records_name}_{kind}", indexes=indexes)

    @property
    def _jobs(self) -> RetryingCollection:
        """Return the collection of jobs."""
        return self._collection("jobs", indexes=_INDEXES)


def readable_entry(document: Document) -> LedgerEntry | None:
    """Read a document; one that somebody has damaged is reported, and holds up no other job."""
    try:
        entry = LedgerEntry.model_validate(document)
        damage = None if job_id(entry.analysis, entry.job_key) == document["_id"] else "it is stored under another key"
    except ValidationError as error:
        damage = "; ".join(sorted({f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors()})[:_TOLD])
    if damage is None:
        return entry
    _log.warning(
        "The ledger's document %s cannot be read (%s): fix it, or delete it and request the job again.",
        shown(str(document["_id"])),
        shown(damage),
    )
    return None


def _key_of(document: Document, analysis: str) -> str | None:
    """Return the key of a job, unless somebody has damaged its document."""
    key = document.get("job_key")
    return key if isinstance(key, str) and document["_id"] == job_id(analysis, key) else None


def _can_count(document: Document) -> bool:
    """Tell whether the requests for a job can be counted on: the database refuses to count on from a text."""
    return all(isinstance(document.get(name, 0), int | float) for name in ("requests", "fruitless"))


def _count(value: object) -> int:
    """Return a number of requests; anything else is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def id_chunks(analysis: str, job_keys: Iterable[str]) -> Iterator[list[str]]:
    """Yield the ``_id`` of each job, in lists that fit into a query: a document of MongoDB has at most 16 MB."""
    keys = iter(job_keys)
    while chunk := [job_id(analysis, key) for key in islice(keys, _IDS_AT_ONCE)]:
        yield chunk


def job_id(analysis: str, job_key: str) -> str:
    """Return the ``_id`` of a job: a key alone may belong to several analyses."""
    return f"{analysis}/{job_key}"
