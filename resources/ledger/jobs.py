"""Reading jobs from the ledger."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from domain.job.state import JobState, LedgerEntry
from resources.ledger.documents import id_chunks, job_id, readable_entry, readable_key
from resources.mongo_collection import Document, Fields, RetryingCollection

_COUNTS = ("requests", "fruitless", "unstarted")
_FOR_REQUESTS = {"job_key": 1, "format": 1, **dict.fromkeys(_COUNTS, 1)}
_WITHOUT_LOGS = {"error.traceback": 0, "error.log": 0, "attempts.error": 0}


@dataclass(frozen=True)
class JobBrief:
    """Selected fields of a job.

    Attributes
    ----------
    job_key : str
        Key of the job, which names its partition.
    state : JobState
        Current state in the ledger.
    result_id, code_version : str or None
        Id of its latest result, and the code version that made it.
    run_id : str or None
        Dagster run that has claimed it.
    lease_until : datetime or None
        Expiry of the claim.
    """

    job_key: str
    state: JobState
    result_id: str | None
    code_version: str | None
    run_id: str | None
    lease_until: datetime | None


@dataclass(frozen=True)
class Jobs:
    """Reads the jobs of all analyses; read-only.

    Attributes
    ----------
    documents : RetryingCollection
        Collection of jobs, one document per job.
    """

    documents: RetryingCollection

    def get(self, analysis: str, job_key: str) -> LedgerEntry | None:
        """Return a job's entry, or None."""
        return self.get_many(analysis, [job_key]).get(job_key)

    def get_many(self, analysis: str, job_keys: Iterable[str]) -> dict[str, LedgerEntry]:
        """Return the entries of the keys that are known, in one query."""
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
        found = self.documents.find(query, _FOR_REQUESTS, sort=[("created", 1), ("_id", 1)], limit=limit).to_list()
        return [key for d in found if (key := readable_key(d, analysis)) is not None and _can_count(d)]

    def summaries(self, analysis: str, job_keys: Iterable[str]) -> dict[str, tuple[JobState, str | None, int]]:
        """Return state, code version and number of run requests of the keys that are known."""
        found = self._found(analysis, job_keys, ("job_key", "format", "state", "code_version", "requests"))
        return {
            key: (JobState(d["state"]), d.get("code_version"), _count(d.get("requests")))
            for d in found
            if (key := readable_key(d, analysis)) is not None and d.get("state") in list(JobState)
        }

    def counts(self, analysis: str) -> dict[JobState, int]:
        """Return the number of jobs of an analysis in each state."""
        return {s: self.documents.count_documents({"analysis": analysis, "state": s.value}) for s in JobState}

    def waiting_before(self, analysis: str, job_key: str) -> int:
        """Return the number of new jobs of an analysis that were requested earlier than this one."""
        mine = self.documents.find_one({"_id": job_id(analysis, job_key)}, {"created": 1})
        if mine is None:
            return 0
        earlier = {"analysis": analysis, "state": JobState.NEW.value, "created": {"$lt": mine["created"]}}
        return self.documents.count_documents(earlier)

    def briefs(self, analysis: str) -> Iterator[JobBrief]:
        """Yield selected fields of every job of an analysis, unordered, for audits."""
        fields = {"job_key": 1, "format": 1, "state": 1, "result_id": 1, "code_version": 1, "lease": 1}
        for d in self.documents.find({"analysis": analysis}, fields):
            if readable_key(d, analysis) is None or d.get("state") not in list(JobState):
                continue  # damaged: `get_many` logs it
            lease = d.get("lease") or {}
            state, result, until = JobState(d["state"]), d.get("result_id"), lease.get("until")
            yield JobBrief(d["job_key"], state, result, d.get("code_version"), lease.get("run_id"), until)

    def failures(self, analysis: str) -> Iterator[LedgerEntry]:
        """Yield every failed job of an analysis, unordered, without tracebacks and logs, which may be large."""
        match = {"analysis": analysis, "state": JobState.FAILED.value}
        for document in self.documents.find(match, _WITHOUT_LOGS):
            entry = readable_entry(document)
            if entry is not None:
                yield entry

    def last_change(self, analysis: str) -> datetime | None:
        """Return when a job of an analysis last changed its state; None if there is no job."""
        found = self.documents.find_one({"analysis": analysis}, {"updated": 1}, sort=[("updated", -1)])
        changed = (found or {}).get("updated")
        return changed if isinstance(changed, datetime) else None

    def result_ids(self, analysis: str, job_keys: Iterable[str]) -> dict[str, str]:
        """Return the id of the latest result of each job that has one, by job key."""
        found = self._found(analysis, job_keys, ("job_key", "result_id"))
        return {d["job_key"]: d["result_id"] for d in found if d.get("result_id")}

    def archived_among(self, analysis: str, job_keys: Iterable[str]) -> set[str]:
        """Return the keys of the jobs that are archived."""
        return {key for key, (state, _, _) in self.summaries(analysis, job_keys).items() if state is JobState.ARCHIVED}

    def _found(self, analysis: str, job_keys: Iterable[str], fields: Fields = None) -> Iterator[Document]:
        """Yield the documents of the keys that are known; complete unless fields are given."""
        for ids in id_chunks(analysis, job_keys):
            yield from self.documents.find({"_id": {"$in": ids}}, fields).to_list()


def _can_count(document: Document) -> bool:
    """Return whether MongoDB can increment the counts of a job: it cannot if one was replaced by text."""
    return all(isinstance(document.get(name, 0), int | float) for name in _COUNTS)


def _count(value: object) -> int:
    """Return a number of requests; 0 for any other value."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
