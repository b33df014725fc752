"""The circuit breakers beside the ledger: one document for each analysis, shared by all runs and daemons."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from domain.analysis.breaker import Trip
from domain.failures import JobError
from domain.job.state import JobState
from domain.retry import PROBES, TRANSIENT_KINDS
from resources.ledger.archive import LedgerArchive
from resources.mongo_collection import Document, RetryingCollection

LATEST = 20
"""So many of the jobs that ended last are looked at."""


@dataclass(frozen=True)
class OpenBreaker:
    """A breaker that is open.

    Attributes
    ----------
    analysis, code_version : str
        What it stops.
    why : str
        One sentence.
    since : datetime
        When it opened.
    probe_at : datetime or None
        When a few jobs are tried by themselves; None: a person must act.
    """

    analysis: str
    code_version: str
    why: str
    since: datetime
    probe_at: datetime | None


class LedgerBreakers(LedgerArchive):
    """Small verbs on circuit breakers."""

    def open_breaker(self, analysis: str, *, code_version: str, found: Trip) -> bool:
        """Open an analysis's breaker; False if it was open for this code already."""
        now = self.now()
        told = {
            "analysis": analysis,
            "code_version": code_version,
            "state": "open",
            "why": found.words(),
            "kind": found.kind,
            "changed": now,
            "probes": 0,
            "probe_at": _next_probe(now, 0) if found.kind in TRANSIENT_KINDS else None,
            "told": False,
        }
        match = {"_id": analysis, "$nor": [{"state": "open", "code_version": code_version}]}
        try:
            self._breakers.update_one(match, {"$set": told}, upsert=True)
        except DuplicateKeyError:  # it does not match, because it is open for this code
            return False
        return True

    def breaker(self, analysis: str, *, code_version: str) -> OpenBreaker | None:
        """Return an analysis's breaker if it is open for its current code; other code closes it."""
        found = self._breakers.find_one({"_id": analysis, "state": "open", "code_version": code_version})
        if found is None:
            return None
        return OpenBreaker(analysis, code_version, found["why"], found["changed"], found["probe_at"])

    def close_breaker(self, analysis: str, *, who: str, reason: str) -> bool:
        """Close an analysis's breaker, and let its jobs be asked for as if nothing had been; False if none was open."""
        now = self.now()
        closed = {"state": "closed", "changed": now, "closed_by": who, "closed_because": reason, "told": False}
        done = self._breakers.update_one({"_id": analysis, "state": "open"}, {"$set": closed})
        waiting = {"analysis": analysis, "state": JobState.NEW.value}
        self._jobs.update_many(waiting, {"$set": {"fruitless": 0}})
        return done.modified_count == 1

    def begin_probe(self, analysis: str) -> bool:
        """Begin to try a few jobs if it is time to; False for all but one of those who ask at once."""
        now, breakers = self.now(), self._breakers
        match = {"_id": analysis, "state": "open", "probe_at": {"$lte": now}}
        found = breakers.find_one(match)
        if found is None:
            return False
        probes = found["probes"] + 1
        change = {"$set": {"probes": probes, "probe_at": _next_probe(now, probes)}}
        return breakers.update_one({**match, "probes": found["probes"]}, change).modified_count == 1

    def latest_ended(self, analysis: str, *, code_version: str) -> list[JobError | None]:
        """Return how the jobs that ended last did, since the breaker was last closed, for the current code."""
        known = self._breakers.find_one({"_id": analysis}) or {}
        ended = [JobState.DONE.value, JobState.FAILED.value]
        match: Document = {"analysis": analysis, "state": {"$in": ended}, "code_version": code_version}
        if "changed" in known:
            match["updated"] = {"$gt": known["changed"]}
        found = self._jobs.find(match, {"error": 1}, sort=[("updated", -1)], limit=LATEST).to_list()
        return [JobError.model_validate(d["error"]) if d.get("error") else None for d in found]

    def untold_breakers(self) -> Sequence[Document]:
        """Return the breakers whose last change nobody was told of."""
        return self._breakers.find({"told": False}).to_list()

    def breaker_was_told(self, analysis: str, changed: datetime) -> None:
        """Note that people were told of a breaker's last change."""
        self._breakers.update_one({"_id": analysis, "changed": changed}, {"$set": {"told": True}})

    @property
    def _breakers(self) -> RetryingCollection:
        """Return the collection of breakers."""
        return self._collection("breakers")


def _next_probe(now: datetime, probes: int) -> datetime | None:
    """Return when a breaker that has let jobs through so many times does so again."""
    wait_s = PROBES.wait_after(probes + 1)
    return None if wait_s is None else now + timedelta(seconds=wait_s)
