"""The commits of attempts: announced in the ledger before a record is inserted, so that they exclude cancellations and cleanings."""

from dataclasses import dataclass

from domain.job.state import Commit, LedgerEntry
from resources.ledger.claims import KEPT_ATTEMPTS, JobClaims
from resources.ledger.documents import job_id
from resources.mongo_collection import Document, RetryingCollection


@dataclass(frozen=True)
class Commits:
    """Announces commits, ends them, and rules out the commit of an attempt whose files are removed.

    Attributes
    ----------
    documents : RetryingCollection
        Collection of jobs, one document per job.
    claims : JobClaims
        Claims on the same jobs.
    """

    documents: RetryingCollection
    claims: JobClaims

    def begin(self, entry: LedgerEntry, commit: Commit, *, attempt: str) -> bool:
        """Check the claim of an attempt and, in the same update, announce that a record is being inserted.

        From then on the job cannot be cancelled. If the run is lost, the next attempt finishes the commit.

        Parameters
        ----------
        entry : LedgerEntry
            The ledger's entry of the job.
        commit : Commit
            Complete attempt whose record is inserted: the one that holds the claim, or an earlier one.
        attempt : str
            Id of the attempt that holds the claim.

        Returns
        -------
        bool
            False if the claim was lost, or the attempt's files are being removed: nothing may be inserted.
        """
        match = {
            "_id": job_id(entry.analysis, entry.job_key),
            "lease.attempt": attempt,
            "dropped_attempts": {"$ne": commit.attempt},
        }
        change = {"$set": {"committing": commit.model_dump()}}
        return self.documents.update_one(match, change).matched_count == 1

    def end(self, entry: LedgerEntry, commit: Commit, *, attempt: str, is_done: bool) -> None:
        """Record that the commit of an earlier attempt is finished, or that this attempt is never to be committed.

        Parameters
        ----------
        entry : LedgerEntry
            The ledger's entry of the job.
        commit : Commit
            The announced commit.
        attempt : str
            Id of the attempt that holds the claim.
        is_done : bool
            False if the files are no longer complete, or the server rejected the record.
        """
        match = {
            "_id": job_id(entry.analysis, entry.job_key),
            "lease.attempt": attempt,
            "committing.attempt": commit.attempt,
        }
        change: Document = {"$set": {"committing": None}}
        if not is_done:
            change["$push"] = _dropped(commit.attempt)
        self.documents.update_one(match, change)

    def in_use(self) -> set[str]:
        """Return the attempts of all analyses that hold a lease, or whose commit has begun."""
        committing = self.documents.find({"committing.attempt": {"$gt": ""}}, {"committing.attempt": 1}).to_list()
        return {*self.claims.runs_by_attempt(), *(d["committing"]["attempt"] for d in committing)}

    def drop(self, analysis: str, job_key: str, attempt: str) -> bool:
        """Keep an attempt from being committed, because its files are removed; return False if its commit has begun."""
        begun = {"_id": job_id(analysis, job_key), "committing.attempt": attempt}
        match = {**begun, "committing.attempt": {"$ne": attempt}}
        self.documents.update_one(match, {"$push": _dropped(attempt)})
        return self.documents.find_one(begun, {"_id": 1}) is None


def _dropped(attempt: str) -> Document:
    """Return the update that records an attempt as never to be committed."""
    return {"dropped_attempts": {"$each": [attempt], "$slice": -KEPT_ATTEMPTS}}
