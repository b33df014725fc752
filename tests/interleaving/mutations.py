"""Fixes of the product, each of which can be removed for a moment: the only place of the tests that replaces its methods.

`tests/test_static_checks.py` allows it here alone, because a suite that is to find faults must be shown some.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from resources.ledger.claims import JobClaims
from resources.records.reader import RecordReader

Mutation = Callable[[], Any]
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


def superseded_attempts_are_forgotten() -> Any:
    """Let every attempt be committed, whatever became of it."""
    return replaced(RecordReader, "superseded_attempts", lambda *_, **__: set())


def lost_claims_publish() -> Any:
    """Let an attempt publish without looking at its claim."""
    return replaced(JobClaims, "holds", lambda *_, **__: True)
