"""Selects the partitions of a run: pure functions on keys.

A run takes a contiguous range of the partitions in their stored order. The requested jobs may not be adjacent, so a
range may include finished jobs between them (a run reports those again, which takes milliseconds; another run would
take seconds), but never a job that is failed, claimed or outdated: that would change what Dagster shows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from domain.json_values import canonical_json, sha256_hex


def run_key(requests: Mapping[str, int]) -> str:
    """Return a run key. Dagster never launches a key twice, so it covers the jobs and the number of requests of each.

    Parameters
    ----------
    requests : mapping of str to int
        Number of earlier requests, by job key.
    """
    return sha256_hex(canonical_json(sorted([key, number] for key, number in requests.items())))


def ranges(
    order: Sequence[str], wanted: Iterable[str], *, passable: Callable[[str], bool], size: int
) -> list[tuple[str, ...]]:
    """Cover the requested keys with contiguous ranges.

    Parameters
    ----------
    order : sequence of str
        Every partition key, in the stored order.
    wanted : iterable of str
        Keys to cover; keys that are not in `order` are left out.
    passable : callable
        Called with a key that is not requested; whether a range may include it.
    size : int
        Maximum number of keys in a range.

    Returns
    -------
    list of tuple of str
        Disjoint ranges, each of which starts and ends with a requested key.
    """
    wanted = set(wanted)
    positions = [i for i, key in enumerate(order) if key in wanted]
    found: list[tuple[int, int]] = []
    for position in positions:
        if found:
            first, last = found[-1]
            if position - first < size and all(passable(key) for key in order[last + 1 : position]):
                found[-1] = (first, position)
                continue
        found.append((position, position))
    return [tuple(order[first : last + 1]) for first, last in found]


def covered(order: Sequence[str], spans: Iterable[tuple[str, str]]) -> set[str]:
    """Return the keys in ranges, which are given by first and last key; a range with an unknown end is empty."""
    spans = list(spans)
    if not spans:
        return set()
    position = {key: i for i, key in enumerate(order)}
    return {
        key
        for first, last in spans
        if first in position and last in position
        for key in order[position[first] : position[last] + 1]
    }
