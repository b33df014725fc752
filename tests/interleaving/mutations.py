"""Fixes of the product, each of which can be removed for a moment: the only place of the tests that replaces its methods.

`tests/test_static_checks.py` allows it here alone, because a suite that is to find faults must be shown some.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from resources.ledger.claims import JobClaims
from resources.mongo_collection import RetryingCollection
from resources.records.reader import RecordReader

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


def filter_without(verb: str, *conditions: str) -> AbstractContextManager[None]:
    """Let the requests of one verb that have all of some conditions in their filter be sent without the last one."""

    def faulty(original: Callable[..., Any], self: Any, match: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if set(conditions) <= set(match):
            match = {name: value for name, value in match.items() if name != conditions[-1]}
        return original(self, match, *args, **kwargs)

    return replaced(RetryingCollection, verb, faulty)


def superseded_attempts_are_forgotten() -> AbstractContextManager[None]:
    """Let every attempt be committed, whatever became of it."""
    return replaced(RecordReader, "superseded_attempts", lambda *_, **__: set())


def claims_are_not_exclusive() -> AbstractContextManager[None]:
    """Let a job be claimed from any state."""
    return filter_without("find_one_and_update", "_id", "$or")


def a_reuse_clears_later_forces() -> AbstractContextManager[None]:
    """Let a job be done although it was forced after it was read."""
    return filter_without("update_one", "$or", "force.when")


def any_record_is_replaced() -> AbstractContextManager[None]:
    """Let a record take the place of whatever is there."""
    return filter_without("replace_one", "_id", "analysis_assets.attempt")


def any_record_is_deleted() -> AbstractContextManager[None]:
    """Let an invalidation delete whatever record is there."""
    return filter_without("delete_one", "_id", "analysis_assets.attempt")


def running_jobs_are_released() -> AbstractContextManager[None]:
    """Let a tick release every running job, whether or not its lease has expired."""
    return filter_without("update_many", "analysis", "state", "$or")


def running_attempts_are_cleaned() -> AbstractContextManager[None]:
    """Let a cleaning remove attempts that a run still writes."""
    return replaced(JobClaims, "runs_by_attempt", lambda *_, **__: {})
