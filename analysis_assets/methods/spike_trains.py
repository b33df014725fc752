"""Statistics of a single spike train: pure numpy, no files, no parameters of any one analysis.

Times and periods are in seconds, spike trains are one-dimensional arrays of shape ``(n_spikes,)``. A statistic that
the data do not determine (no spikes, no duration) is None, never NaN. `measure_train` computes them all.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

# Spike times are multiples of the sampling interval, stored as floats: the last bit of their rounding must not decide
# whether an interval of exactly one refractory period counts. A nanosecond is far below any sampling interval.
_ROUNDING_S = 1e-9
_MIN_SPIKES_FOR_ISI = 2


@dataclass(frozen=True, kw_only=True)
class TrainMeasures:
    """What the spike times of one unit say about its quality; see the functions of this module for each."""

    spike_count: int
    used_spike_count: int
    observed_s: float
    firing_rate_hz: float | None
    isi_violation_count: int
    isi_violation_fraction: float | None
    contamination_hill: float | None
    contamination_llobet: float | None
    presence_ratio: float | None


def measure_train(
    spike_times_s: ArrayLike,
    *,
    intervals_s: ArrayLike,
    refractory_period_s: float,
    censored_period_s: float,
    presence_bin_s: float,
) -> TrainMeasures:
    """Compute every statistic of one spike train.

    Parameters
    ----------
    spike_times_s : array_like, shape (n_spikes,), seconds
        As stored: possibly unsorted, with duplicates or not finite.
    intervals_s : array_like, shape (n_intervals, 2), seconds
        When the unit was observed; spikes outside are not used.
    refractory_period_s, censored_period_s : float, seconds
        Intervals between spikes above the censored and below the refractory period are violations; spikes that follow
        another within the censored period are not used.
    presence_bin_s : float, seconds
        Wanted width of the bins of the presence ratio.

    Returns
    -------
    TrainMeasures
        Counts, and measures that are None where undefined.
    """
    observed = merge_intervals(intervals_s)
    observed_s = float((observed[:, 1] - observed[:, 0]).sum())
    times, clock = restrict(clean_spike_times(spike_times_s), intervals_s=observed)
    is_used = is_uncensored(times, censored_period_s=censored_period_s)
    times, clock = times[is_used], clock[is_used]
    violations = isi_violation_count(times, refractory_period_s=refractory_period_s)
    pairs = refractory_pair_count(times, refractory_period_s=refractory_period_s)
    terms = (len(times), observed_s, refractory_period_s, censored_period_s)
    return TrainMeasures(
        spike_count=np.size(spike_times_s),
        used_spike_count=len(times),
        observed_s=observed_s,
        firing_rate_hz=len(times) / observed_s if observed_s else None,
        isi_violation_count=violations,
        isi_violation_fraction=violations / (len(times) - 1) if len(times) >= _MIN_SPIKES_FOR_ISI else None,
        contamination_hill=hill_contamination(violations, *terms),
        contamination_llobet=llobet_contamination(pairs, *terms),
        presence_ratio=presence_ratio(clock, duration_s=observed_s, bin_s=presence_bin_s),
    )


def clean_spike_times(spike_times_s: ArrayLike) -> FloatArray:
    """Return the finite spike times in ascending order.

    Parameters
    ----------
    spike_times_s : array_like, shape (n_spikes,), seconds
        In any order, possibly with NaN or infinite entries.

    Returns
    -------
    ndarray, shape (n_finite,), seconds
        Sorted, finite times; duplicates are kept.
    """
    times = np.asarray(spike_times_s, dtype=np.float64).ravel()
    times = times[np.isfinite(times)]
    return times if (times[1:] >= times[:-1]).all() else np.sort(times)


def merge_intervals(intervals_s: ArrayLike) -> FloatArray:
    """Return disjoint intervals that cover the same time, in ascending order.

    Parameters
    ----------
    intervals_s : array_like, shape (n_intervals, 2), seconds
        Start and stop of each interval; those that are empty or not finite are left out.

    Returns
    -------
    ndarray, shape (n_disjoint, 2), seconds
        Intervals that neither overlap nor touch.
    """
    rows = np.asarray(intervals_s, dtype=np.float64).reshape(-1, 2)
    rows = rows[np.isfinite(rows).all(axis=1) & (rows[:, 1] > rows[:, 0])]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    if not len(rows):
        return rows
    reach = np.maximum.accumulate(rows[:, 1])
    is_first = np.append(True, rows[1:, 0] > reach[:-1])
    is_last = np.append(is_first[1:], True)
    return np.column_stack([rows[is_first, 0], reach[is_last]])


def restrict(spike_times_s: FloatArray, *, intervals_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Keep the spikes inside the intervals, and read their times on a clock that runs only inside them.

    Parameters
    ----------
    spike_times_s : ndarray, shape (n_spikes,), seconds
        Sorted spike times.
    intervals_s : ndarray, shape (n_intervals, 2), seconds
        Disjoint intervals in ascending order, both ends included (see `merge_intervals`).

    Returns
    -------
    inside_s : ndarray, shape (n_inside,), seconds
        The spikes inside the intervals.
    clock_s : ndarray, shape (n_inside,), seconds
        Their times since the first interval's start, with the gaps between intervals cut out.
    """
    if not len(intervals_s):
        return np.empty(0), np.empty(0)
    starts, stops = intervals_s.T
    row = np.searchsorted(starts, spike_times_s, side="right") - 1
    is_inside = (row >= 0) & (spike_times_s <= stops[row])
    inside, row = spike_times_s[is_inside], row[is_inside]
    time_before = np.concatenate([[0.0], np.cumsum(stops - starts)[:-1]])
    return inside, inside - starts[row] + time_before[row]


def is_uncensored(spike_times_s: FloatArray, *, censored_period_s: float) -> NDArray[np.bool_]:
    """Tell which spikes come later than the censored period after the spike before them.

    Within that period a spike sorter takes one spike for two. With a period of 0 only exact duplicates are censored.

    Parameters
    ----------
    spike_times_s : ndarray, shape (n_spikes,), seconds
        Sorted spike times.
    censored_period_s : float, seconds
        Intervals up to this length, itself included, are artefacts.

    Returns
    -------
    ndarray of bool, shape (n_spikes,)
        True for spikes to keep; the first is always kept.
    """
    return np.diff(spike_times_s, prepend=-np.inf) > censored_period_s + _ROUNDING_S


def isi_violation_count(spike_times_s: FloatArray, *, refractory_period_s: float) -> int:
    """Count the inter-spike intervals that are shorter than the refractory period.

    Parameters
    ----------
    spike_times_s : ndarray, shape (n_spikes,), seconds
        Sorted spike times.
    refractory_period_s : float, seconds
        Intervals of exactly this length are no violation.

    Returns
    -------
    int
        Violations among the ``n_spikes - 1`` intervals between neighbours.
    """
    return int(np.count_nonzero(np.diff(spike_times_s) < refractory_period_s - _ROUNDING_S))


def refractory_pair_count(spike_times_s: FloatArray, *, refractory_period_s: float) -> int:
    """Count the pairs of spikes, neighbours or not, that are closer than the refractory period.

    Parameters
    ----------
    spike_times_s : ndarray, shape (n_spikes,), seconds
        Sorted spike times.
    refractory_period_s : float, seconds
        Pairs at exactly this distance are no violation.

    Returns
    -------
    int
        Pairs, each counted once.
    """
    stop = np.searchsorted(spike_times_s, spike_times_s + (refractory_period_s - _ROUNDING_S), side="left")
    return int((stop - np.arange(1, len(spike_times_s) + 1)).sum())


def hill_contamination(
    isi_violations: int, spike_count: int, duration_s: float, refractory_period_s: float, censored_period_s: float
) -> float | None:
    r"""Estimate the fraction of foreign spikes, when they come from one other neuron (Hill et al. 2011).

    Parameters
    ----------
    isi_violations : int
        Inter-spike intervals shorter than the refractory period.
    spike_count : int
        Spikes of the unit.
    duration_s : float, seconds
        Time over which they were observed.
    refractory_period_s, censored_period_s : float, seconds
        Violations are possible between the two.

    Returns
    -------
    float or None
        Between 0 and 0.5; 1 when there are more violations than any mixture of two such neurons gives; None with fewer
        than two spikes or no duration.

    Notes
    -----
    A contaminating neuron has a refractory period of its own, so that only pairs of one own and one foreign spike
    violate: :math:`v = 2 \tau F (1 - F) N^2 / T`, solved for its smaller root :math:`F`. Hill, Mehta and Kleinfeld
    (2011), doi:10.1523/JNEUROSCI.0971-11.2011.
    """
    if spike_count < _MIN_SPIKES_FOR_ISI or duration_s <= 0:
        return None
    product = isi_violations * duration_s / (2 * spike_count**2 * (refractory_period_s - censored_period_s))
    root = 1 - 4 * product
    return (1 - math.sqrt(root)) / 2 if root >= 0 else 1.0


def llobet_contamination(
    refractory_pairs: int, spike_count: int, duration_s: float, refractory_period_s: float, censored_period_s: float
) -> float | None:
    r"""Estimate the fraction of foreign spikes, when they come from many neurons (Llobet et al. 2022).

    Parameters
    ----------
    refractory_pairs : int
        Pairs of spikes that are closer than the refractory period.
    spike_count : int
        Spikes of the unit.
    duration_s : float, seconds
        Time over which they were observed.
    refractory_period_s, censored_period_s : float, seconds
        Violations are possible between the two.

    Returns
    -------
    float or None
        Between 0 and 1; 1 when there are more violations than independent spikes give; None with fewer than two spikes
        or no duration.

    Notes
    -----
    Foreign spikes violate among themselves: :math:`C = 1 - \sqrt{1 - v (T - 2 N \tau_c) / (N^2 (\tau_r - \tau_c))}`.
    Llobet, Wyngaard and Barbour (2022), doi:10.1101/2022.02.08.479192.
    """
    if spike_count < _MIN_SPIKES_FOR_ISI or duration_s <= 0:
        return None
    usable_s = max(duration_s - 2 * spike_count * censored_period_s, 0.0)
    own = 1 - refractory_pairs * usable_s / (spike_count**2 * (refractory_period_s - censored_period_s))
    return 1 - math.sqrt(own) if own >= 0 else 1.0


def presence_ratio(clock_s: FloatArray, *, duration_s: float, bin_s: float) -> float | None:
    """Return the fraction of the observed time, in bins, in which the unit fired at least once.

    Parameters
    ----------
    clock_s : ndarray, shape (n_spikes,), seconds
        Spike times on the clock of the observed time, between 0 and the duration (see `restrict`).
    duration_s : float, seconds
        Observed time.
    bin_s : float, seconds
        Wanted width of a bin. The width used is the nearest that divides the duration evenly, so that no rest is lost.

    Returns
    -------
    float or None
        Between 0 and 1; None without a duration.
    """
    if duration_s <= 0:
        return None
    n_bins = max(1, round(duration_s / bin_s))
    filled = np.clip((clock_s / duration_s * n_bins).astype(np.int64), 0, n_bins - 1)
    return len(np.unique(filled)) / n_bins
