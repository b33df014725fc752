"""Which partitions a run takes: pure functions over keys.

A run takes a contiguous range of the partitions in their stored order. The jobs that are wanted may lie apart, so a
range may pass over finished jobs between them (a run logs those again, which costs milliseconds; a run of its own
costs seconds), but never over a job that is failed, claimed or outdated: passing would change what Dagster shows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from domain.json_values import canonical_json, sha256_hex


def run_key(requests: Mapping[str, int]) -> str:
    """Return a run's key: Dagster launches no key twice, so it covers the jobs and how often each was asked for.

    Parameters
    ----------
    requests : mapping of str to int
        Job keys, and the number of runs asked for before.
    """
    return sha256_hex(canonical_json(sorted([key, number] for key, number in requests.items())))


def ranges(
    order: Sequence[str], wanted: Iterable[str], *, passable: Callable[[str], bool], size: int
) -> list[tuple[str, ...]]:
    """Cover the wanted keys with contiguous ranges.

    Parameters
    ----------
    order : sequence of str
        Every partition key, in the stored order.
    wanted : iterable of str
        Keys to cover; those that are not in ``order`` are left out.
    passable : callable
        Tells whether a range may pass over a key that is not wanted.
    size : int
        Keys in one range, at most.

    Returns
    -------
    list of tuple of str
        Ranges without overlap, each beginning and ending with a wanted key.
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
    """Return the keys that lie in ranges given by their first and last key; unknown ends cover nothing."""
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
