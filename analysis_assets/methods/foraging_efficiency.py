"""Foraging efficiency: rewards earned, relative to what a forager expects who knows the reward probabilities.

Trials with auto water count for neither: what came there was not earned, and was not to be earned.
"""

from collections.abc import Sequence

import numpy as np

from analysis_assets.methods.foraging_trials import BoolArray, FloatArray, ForagingTrials


def efficiencies(sessions: Sequence[ForagingTrials]) -> tuple[float | None, float | None]:
    """Return the efficiency over the answered trials without auto water, for a task without baiting and for one with.

    Parameters
    ----------
    sessions : sequence of ForagingTrials
        Taken together.

    Returns
    -------
    without_baiting, with_baiting : float or None
        None where a session does not say its reward probabilities, or nothing could be earned.
    """
    known = [session.reward_probabilities for session in sessions if session.reward_probabilities is not None]
    if len(known) < len(sessions) or not known:
        return None, None
    is_free = np.concatenate([session.is_free for session in sessions])
    is_rewarded = np.concatenate([session.is_rewarded for session in sessions])[is_free]
    probabilities = np.concatenate(known)[is_free]
    return (
        efficiency(is_rewarded, expected_without_baiting(probabilities)),
        efficiency(is_rewarded, expected_with_baiting(probabilities)),
    )


def efficiency(is_rewarded: BoolArray, expected: FloatArray) -> float | None:
    """Return earned rewards by expected ones.

    Parameters
    ----------
    is_rewarded : ndarray of bool, shape (n_trials,)
        Answered trials.
    expected : ndarray, shape (n_trials,), fraction
        Probability with which the forager who knows the probabilities earns a reward in each.

    Returns
    -------
    float or None
        1 for that forager on average, above 1 for one with luck; None when nothing could be earned.
    """
    available = float(expected.sum())
    return float(is_rewarded.sum()) / available if available > 0 else None


def expected_without_baiting(probabilities: FloatArray) -> FloatArray:
    """Return what always choosing the better side earns, where each trial's rewards are drawn anew.

    Parameters
    ----------
    probabilities : ndarray, shape (n_trials, 2), fraction
        Reward probability of each side in each trial.

    Returns
    -------
    ndarray, shape (n_trials,), fraction
        The larger one; nothing earns more.
    """
    larger: FloatArray = probabilities.max(axis=1)
    return larger


def expected_with_baiting(probabilities: FloatArray) -> FloatArray:
    """Return what the likelier side earns in each trial, where a reward that was drawn waits until its side is chosen.

    Parameters
    ----------
    probabilities : ndarray, shape (n_trials, 2), fraction
        Probability that each side is baited in each trial.

    Returns
    -------
    ndarray, shape (n_trials,), fraction
        Mean reward of always choosing the side that is the likelier to hold one.

    Notes
    -----
    With baiting probabilities ``p >= q`` that is a cycle: ``m`` times the better side, then the other one once, with
    ``m`` the whole part of ``log(1 - p) / log(1 - q)``. It earns ``p + (1 - (1 - q)^(m + 1) - p^2) / (m + 1)`` in each
    trial. Where ``q = 0`` or ``p = 1`` it is the better side alone. The best policy of all is such a cycle too (Houston
    and McNamara 1981, doi:10.1901/jeab.1981.35-367), with an ``m`` that may be larger; it earns at most 1.2 % more.
    """
    better, worse = probabilities.max(axis=1), probabilities.min(axis=1)
    best: FloatArray = better.copy()
    pays = (worse > 0) & (better < 1)
    p, q = better[pays], worse[pays]
    m = np.floor(np.log1p(-p) / np.log1p(-q))
    best[pays] = p + (1 - (1 - q) ** (m + 1) - p**2) / (m + 1)
    return best
