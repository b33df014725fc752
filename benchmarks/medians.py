"""Medians over rounds: of figures, and of ratios within each round."""

import statistics
from collections.abc import Mapping, Sequence


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}


def median_ratio(rounds: Sequence[Mapping[str, float]], above: Sequence[str], below: Sequence[str]) -> float:
    """Return the median of the ratio of two sums, taken round by round: what disturbs a round disturbs both."""
    return statistics.median(sum(r[name] for name in above) / sum(r[name] for name in below) for r in rounds)
