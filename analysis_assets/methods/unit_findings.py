"""What is doubtful about the spike times and observation intervals that a file stores: pure numpy, no files.

A finding does not change a measure. It says that the measures are of other times than the person who made the file meant.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

TIMES_NOT_FINITE, TIMES_UNSORTED = "times_not_finite", "times_unsorted"
INTERVALS_NOT_FINITE, INTERVALS_REVERSED, INTERVALS_OVERLAP = (
    "intervals_not_finite",
    "intervals_reversed",
    "intervals_overlap",
)
OF_TIMES = frozenset({TIMES_NOT_FINITE, TIMES_UNSORTED})
OF_INTERVALS = frozenset({INTERVALS_NOT_FINITE, INTERVALS_REVERSED, INTERVALS_OVERLAP})

_YEAR_S = 365.25 * 24 * 3600
# At 30 kHz a spike falls on a whole second once in 30,000 times: three of three never do.
_FEWEST = 3


@dataclass(frozen=True, kw_only=True)
class StoredTimes:
    """What the stored times of one unit are like.

    Attributes
    ----------
    n_finite, n_whole : int
        Spike times that are finite, and those among them that are whole numbers.
    first_s, last_s : float, seconds
        Lowest and highest finite spike time; infinite, with the wrong sign, without any.
    findings : tuple of str
        Names of this module, in its order.
    """

    n_finite: int
    n_whole: int
    first_s: float
    last_s: float
    findings: tuple[str, ...]


def describe_times(spike_times_s: FloatArray, *, intervals_s: FloatArray | None) -> StoredTimes:
    """Describe the stored times of one unit.

    Parameters
    ----------
    spike_times_s : ndarray, shape (n_spikes,), seconds
        As stored.
    intervals_s : ndarray, shape (n_intervals, 2), seconds, or None
        Observation intervals as stored; None if the file has none.

    Returns
    -------
    StoredTimes
        Counts and findings.
    """
    finite = spike_times_s[np.isfinite(spike_times_s)]
    found = {
        TIMES_NOT_FINITE: len(finite) < len(spike_times_s),
        TIMES_UNSORTED: bool((np.diff(finite) < 0).any()),
        **_intervals(np.empty((0, 2)) if intervals_s is None else intervals_s),
    }
    return StoredTimes(
        n_finite=len(finite),
        n_whole=int((finite == np.round(finite)).sum()),
        first_s=float(finite.min(initial=np.inf)),
        last_s=float(finite.max(initial=-np.inf)),
        findings=tuple(name for name, is_found in found.items() if is_found),
    )


def seem_sample_numbers(units: Iterable[StoredTimes]) -> bool:
    """Return whether the spike times of one input are hardly seconds.

    Parameters
    ----------
    units : iterable of StoredTimes
        All units of the input.

    Returns
    -------
    bool
        True if all of at least three spike times are whole numbers, or all spikes together span more than a year.
    """
    described = [unit for unit in units if unit.n_finite]
    n_finite = sum(unit.n_finite for unit in described)
    if n_finite < _FEWEST:
        return False
    span_s = max(unit.last_s for unit in described) - min(unit.first_s for unit in described)
    return span_s > _YEAR_S or sum(unit.n_whole for unit in described) == n_finite


def count_repeated(names: Sequence[object]) -> int:
    """Return how many names occur more than once, each occurrence counted.

    Parameters
    ----------
    names : sequence of hashable
        One name for each unit.
    """
    counts: dict[object, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return sum(count for count in counts.values() if count > 1)


def _intervals(intervals_s: FloatArray) -> dict[str, bool]:
    """Return which findings the intervals of a unit give."""
    is_finite = np.isfinite(intervals_s).all(axis=1)
    starts, stops = intervals_s[is_finite].T
    is_forward = stops >= starts
    starts, stops = starts[is_forward], stops[is_forward]
    order = np.argsort(starts, kind="stable")
    reach = np.maximum.accumulate(stops[order])
    return {
        INTERVALS_NOT_FINITE: not is_finite.all(),
        INTERVALS_REVERSED: not is_forward.all(),
        INTERVALS_OVERLAP: bool((starts[order][1:] < reach[:-1]).any()),
    }
