"""Lists of bounded length from a sequence of any length."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield items as lists of at most ``size``; no more than one list is read ahead.

    Python has this as ``itertools.batched`` from 3.12 on.

    Examples
    --------
    >>> list(in_batches("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
