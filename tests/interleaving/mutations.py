"""Fixes of the product, each of which can be removed for a moment: the only place of the tests that replaces its methods.

`tests/test_static_checks.py` allows it here alone, because a suite that is to find faults must be shown some.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from domain.job.state import LedgerEntry
from engine.execution.claims import Claims
from engine.execution.publish import METADATA
from resources.ledger.claims import JobClaims
from resources.ledger.documents import job_id
from resources.ledger.requests import Requests
from resources.mongo_collection import RetryingCollection
from resources.result_store.store import ResultsStore
from tests.interleaving.actor_resources import jobs_as_seen_by

Mutation = Callable[[], AbstractContextManager[None]]
"""Returns a context in which a fix is removed."""


@contextmanager
def replaced(owner: type, method: str, faulty: Callable[..., Any]) -> Iterator[None]:
    """Replace a method of the product.

    Parameters
    ----------
    owner : type
        Its class.
    method : str
        Its name.
    faulty : callable
        What it is to be; takes the original first.
    """
    original = getattr(owner, method)

    def mutated(*args: Any, **kwargs: Any) -> Any:
        return faulty(original, *args, **kwargs)

    setattr(owner, method, mutated)
    try:
        yield
    finally:
        setattr(owner, method, original)


def filter_without(verb: str, *, having: Collection[str], drop: Collection[str]) -> AbstractContextManager[None]:
    """Let the requests of one verb whose filter has some conditions be sent without others of its conditions."""

    def faulty(original: Callable[..., Any], self: Any, match: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if {*having, *drop} <= set(match):
            match = {name: value for name, value in match.items() if name not in drop}
        return original(self, match, *args, **kwargs)

    return replaced(RetryingCollection, verb, faulty)


def claims_are_not_exclusive() -> AbstractContextManager[None]:
    """Let a job be claimed from any state."""
    return filter_without("find_one_and_update", having=("_id",), drop=("$or",))


def any_record_is_replaced() -> AbstractContextManager[None]:
    """Let a record take the place of whatever is there."""
    return filter_without("replace_one", having=("_id",), drop=("analysis_assets.attempt",))


def changes_since_a_job_was_read_are_ignored() -> AbstractContextManager[None]:
    """Let a job without a claim be done whatever has happened since it was read."""
    return filter_without("update_one", having=("$or",), drop=("state", "revision"))


def any_attempt_may_be_used() -> AbstractContextManager[None]:
    """Let a force and an invalidation be answered by attempts of before."""
    return replaced(LedgerEntry, "may_use", lambda *_, **__: True)


def failing_clears_a_force() -> AbstractContextManager[None]:
    """Let a failure end a force."""

    def faulty(original: Callable[..., Any], self: JobClaims, entry: LedgerEntry, **kwargs: Any) -> None:
        original(self, entry, **kwargs)
        match = {"_id": job_id(entry.analysis, entry.job_key)}
        self.documents.update_one(match, {"$set": {"force": None, "fenced": False}})

    return replaced(JobClaims, "fail", faulty)


def invalidated_records_leave_nothing() -> AbstractContextManager[None]:
    """Let an invalidation delete the record, so that an attempt which is late finds its place free."""

    def faulty(original: Callable[..., Any], self: Any, match: dict[str, Any], document: dict[str, Any]) -> Any:
        return self.delete_one(match) if "withdrawn" in document else original(self, match, document)

    return replaced(RetryingCollection, "replace_one", faulty)


def requests_for_code_are_not_kept() -> AbstractContextManager[None]:
    """Let a request for new code be forgotten while old code runs."""
    return replaced(Requests, "request_code", lambda *_, **__: None)


def results_are_not_reported_again() -> AbstractContextManager[None]:
    """Let a result that was replaced before it was reported stay the latest in Dagster."""
    return replaced(Requests, "report_again", lambda *_, **__: None)


def commits_are_cancelled() -> AbstractContextManager[None]:
    """Let a job be cancelled whose record is being inserted."""
    return filter_without("update_many", having=("_id", "state"), drop=("committing",))


@contextmanager
def commits_begin_without_a_claim() -> Iterator[None]:
    """Let an attempt commit without looking at its claim."""
    with (
        replaced(JobClaims, "holds", lambda *_, **__: True),
        filter_without("update_one", having=("dropped_attempts",), drop=("lease.attempt",)),
    ):
        yield


@contextmanager
def claims_are_checked_late() -> Iterator[None]:
    """Let an attempt become complete before its claim is checked, and discard it then."""

    def faulty(original: Callable[..., Any], self: Claims, attempt: str) -> bool:
        return True

    def written(original: Callable[..., Any], self: ResultsStore, location: str, path: str, *args: Any) -> Any:
        stored = original(self, location, path, *args)
        match = {"lease.attempt": location.rpartition("/")[2]}
        if path == METADATA and jobs_as_seen_by(self.s3).find_one(match) is None:
            self.discard(location)
        return stored

    with replaced(Claims, "holds", faulty), replaced(ResultsStore, "put_bytes", written):
        yield


def breakers_open_unseen() -> AbstractContextManager[None]:
    """Let a circuit breaker open whatever has happened to it since the failures were counted."""
    return filter_without("update_one", having=("$nor",), drop=("changed",))


def breakers_close_unseen() -> AbstractContextManager[None]:
    """Let the platform close a circuit breaker that has opened again since it was read."""
    return filter_without("update_one", having=("_id", "state"), drop=("changed",))


def running_jobs_are_released() -> AbstractContextManager[None]:
    """Let a tick release every running job, whether or not its lease has expired."""
    return filter_without("update_many", having=("analysis", "state"), drop=("$or",))


def running_attempts_are_cleaned() -> AbstractContextManager[None]:
    """Let a cleaning remove attempts that a run still writes."""
    return replaced(JobClaims, "runs_by_attempt", lambda *_, **__: {})


def results_are_invalidated_unseen() -> AbstractContextManager[None]:
    """Let an invalidation fail a job that has changed since its result was read."""
    return filter_without("find_one_and_update", having=("_id", "state"), drop=("revision",))


def jobs_that_failed_meanwhile_are_claimed() -> AbstractContextManager[None]:
    """Let a run claim a job that was cancelled after the run read it."""

    def faulty(original: Callable[..., Any], self: Any, match: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if "$or" in match:
            match = {**match, "$or": [*match["$or"], {"state": "failed"}]}
        return original(self, match, *args, **kwargs)

    return replaced(RetryingCollection, "find_one_and_update", faulty)
