"""The circuit breakers: one document for each analysis, shared by all runs and daemons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.errors import DuplicateKeyError

from domain.analysis.breaker import Trip
from domain.failures import JobError
from domain.job.state import JobState
from domain.retry import PROBES, TRANSIENT_KINDS
from resources.mongo_collection import Document, RetryingCollection

LATEST = 20
"""Number of the latest ended jobs that decide about a breaker."""


@dataclass(frozen=True)
class OpenBreaker:
    """A breaker that is open.

    Attributes
    ----------
    analysis, code_version : str
        The analysis, and the code version for which it is stopped.
    why : str
        Reason, as a sentence.
    since : datetime
        Time at which it opened.
    probe_at : datetime or None
        Time at which a few jobs are tried automatically; None if an operator must close it.
    """

    analysis: str
    code_version: str
    why: str
    since: datetime
    probe_at: datetime | None


@dataclass(frozen=True)
class BreakerState:
    """A breaker at one moment.

    Attributes
    ----------
    changed : datetime or None
        Time at which it last opened or closed; None if it never opened.
    opened : OpenBreaker or None
        The breaker, if it is open for the code version in question.
    """

    changed: datetime | None
    opened: OpenBreaker | None


@dataclass(frozen=True)
class Breakers:
    """Opens, probes and closes circuit breakers.

    Attributes
    ----------
    documents : RetryingCollection
        Collection of breakers, one document per analysis.
    jobs : RetryingCollection
        Collection of the jobs that they stop.
    now : callable
        Returns the server's time.
    """

    documents: RetryingCollection
    jobs: RetryingCollection
    now: Callable[[], datetime]

    def state(self, analysis: str, *, code_version: str) -> BreakerState:
        """Return when an analysis's breaker last changed, and whether it is open for this code version, from one read."""
        found = self.documents.find_one({"_id": analysis})
        if found is None:
            return BreakerState(None, None)
        if (found["state"], found["code_version"]) != ("open", code_version):
            return BreakerState(found["changed"], None)
        opened = OpenBreaker(analysis, code_version, found["why"], found["changed"], found["probe_at"])
        return BreakerState(found["changed"], opened)

    def open(self, analysis: str, *, code_version: str, found: Trip, seen: datetime | None) -> bool:
        """Open an analysis's breaker.

        Parameters
        ----------
        analysis, code_version : str
            The analysis, and the code version that is stopped.
        found : Trip
            Why it opens.
        seen : datetime or None
            The last change of the breaker when the failures were counted, from `state`.

        Returns
        -------
        bool
            False if it was already open for this code version, or has changed since: an operator who closed it then may
            have fixed the cause, so failures from before do not open it again.
        """
        now = self.now()
        opened = {
            "analysis": analysis,
            "code_version": code_version,
            "state": "open",
            "why": found.message(),
            "kind": found.kind,
            "changed": now,
            "probes": 0,
            "probe_at": _next_probe(now, 0) if found.kind in TRANSIENT_KINDS else None,
            "told": False,
        }
        match = {"_id": analysis, "changed": seen, "$nor": [{"state": "open", "code_version": code_version}]}
        try:
            self.documents.update_one(match, {"$set": opened}, upsert=True)
        except DuplicateKeyError:  # no match, because it is open for this code version or has changed
            return False
        return True

    def get_open(self, analysis: str, *, code_version: str) -> OpenBreaker | None:
        """Return an analysis's breaker if it is open for this code version; another code version closes it."""
        return self.state(analysis, code_version=code_version).opened

    def close(self, analysis: str, *, who: str, reason: str, opened: OpenBreaker | None = None) -> bool:
        """Close an analysis's breaker and reset its jobs' count of unfinished runs.

        Parameters
        ----------
        analysis : str
            The analysis.
        who, reason : str
            Who closes it, and why.
        opened : OpenBreaker, optional
            The opening that ends; by default the current one. A breaker that was closed and opened again since stays open.

        Returns
        -------
        bool
            False if no such breaker was open.
        """
        now = self.now()
        closed = {"state": "closed", "changed": now, "closed_by": who, "closed_because": reason, "told": False}
        match: Document = {"_id": analysis, "state": "open"}
        if opened is not None:
            match["changed"] = opened.since
        done = self.documents.update_one(match, {"$set": closed})
        waiting = {"analysis": analysis, "state": JobState.NEW.value}
        self.jobs.update_many(waiting, {"$set": {"fruitless": 0}})
        return done.modified_count == 1

    def begin_probe(self, analysis: str) -> bool:
        """Begin a probe with a few jobs if one is due; of several concurrent callers only one gets True."""
        now = self.now()
        match = {"_id": analysis, "state": "open", "probe_at": {"$lte": now}}
        found = self.documents.find_one(match)
        if found is None:
            return False
        probes = found["probes"] + 1
        change = {"$set": {"probes": probes, "probe_at": _next_probe(now, probes)}}
        return self.documents.update_one({**match, "probes": found["probes"]}, change).modified_count == 1

    def latest_ended(self, analysis: str, *, code_version: str, since: datetime | None) -> list[JobError | None]:
        """Return the errors of the latest jobs of a code version that ended since a time; None for a done job."""
        ended = [JobState.DONE.value, JobState.FAILED.value]
        match: Document = {"analysis": analysis, "state": {"$in": ended}, "code_version": code_version}
        if since is not None:
            match["updated"] = {"$gt": since}
        found = self.jobs.find(match, {"error": 1}, sort=[("updated", -1)], limit=LATEST).to_list()
        return [JobError.model_validate(d["error"]) if d.get("error") else None for d in found]

    def unreported(self) -> Sequence[Document]:
        """Return the breakers whose last change is not yet reported."""
        return self.documents.find({"told": False}).to_list()

    def mark_reported(self, analysis: str, changed: datetime) -> None:
        """Record that a breaker's last change was reported."""
        self.documents.update_one({"_id": analysis, "changed": changed}, {"$set": {"told": True}})


def _next_probe(now: datetime, probes: int) -> datetime | None:
    """Return when a breaker lets jobs through again, after a number of probes."""
    wait_s = PROBES.wait_after(probes + 1)
    return None if wait_s is None else now + timedelta(seconds=wait_s)
