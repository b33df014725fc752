"""Trials of a two-choice foraging task: checked, and turned into regressors on the history of rewards and choices.

The regressors are those of Lau and Glimcher (2005, doi:10.1901/jeab.2005.110-04).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_LEFT, _RIGHT, _IGNORED = 0.0, 1.0, 2.0
_PROBABILITIES = ("reward_probabilityL", "reward_probabilityR")
# Each exporter of the task has its own columns for water that the task gave at the cue. The oldest one names no side: it
# was given at both. Water of the anti-bias algorithm was split off from `auto_water*` later.
_FREE_WATER = (
    ("auto_waterL", "anti_bias_left_water", "auto_water"),
    ("auto_waterR", "anti_bias_right_water", "auto_water"),
)

REQUIRED = ("animal_response", "rewarded_historyL", "rewarded_historyR")
OPTIONAL = (*_PROBABILITIES, *dict.fromkeys(name for side in _FREE_WATER for name in side))

_ALLOWED = {
    "animal_response": (_LEFT, _RIGHT, _IGNORED),
    "rewarded_historyL": (0.0, 1.0),
    "rewarded_historyR": (0.0, 1.0),
} | {name: (0.0, 1.0) for side in _FREE_WATER for name in side}


class TrialError(ValueError):
    """A value that no trial of this task can have."""


@dataclass(frozen=True)
class ForagingTrials:
    """The answered trials of one session; ignored ones are only counted.

    Attributes
    ----------
    n_trials, n_auto_water : int
        All trials, and those with auto water, ignored ones included.
    is_right : ndarray of bool, shape (n_answered,)
        The side that was chosen.
    is_rewarded : ndarray of bool, shape (n_answered,)
        Whether the choice earned a reward of its side. Auto water is not earned, and a reward at the other side is not
        one of the choice.
    auto_water : ndarray of bool, shape (n_answered, 2)
        Whether the task gave water at the left and the right side before the choice.
    reward_probabilities : ndarray, shape (n_answered, 2), fraction, or None
        Of the left and the right side; None when the file does not say them for every answered trial.
    """

    n_trials: int
    n_auto_water: int
    is_right: BoolArray
    is_rewarded: BoolArray
    auto_water: BoolArray
    reward_probabilities: FloatArray | None

    @classmethod
    def from_columns(cls, columns: Mapping[str, FloatArray]) -> Self:
        """Make trials of the columns of a table.

        Parameters
        ----------
        columns : mapping of str to ndarray, shape (n_trials,)
            All of `REQUIRED`, and where the table has them those of `OPTIONAL`, in the order of time.

        Raises
        ------
        TrialError
            If a response is none of 0 (left), 1 (right) and 2 (ignored), a reward or auto water is not 0 or 1, or a
            probability is outside 0 to 1. An unknown probability (not a number) is none of these.
        """
        for name in (name for name in _ALLOWED if name in columns):
            is_bad = ~np.isin(columns[name], _ALLOWED[name])
            _refuse(name, columns[name], is_bad, f"one of {', '.join(f'{v:g}' for v in _ALLOWED[name])}")
        response, left, right = (columns[name] for name in REQUIRED)
        is_answered = response != _IGNORED
        is_right = response[is_answered] == _RIGHT
        auto_water = _auto_water(columns, len(response))
        return cls(
            n_trials=len(response),
            n_auto_water=int(auto_water.any(axis=1).sum()),
            is_right=is_right,
            is_rewarded=np.where(is_right, right[is_answered], left[is_answered]) == 1,
            auto_water=auto_water[is_answered],
            reward_probabilities=_probabilities(columns, is_answered),
        )

    @property
    def n_answered(self) -> int:
        """Trials in which a side was chosen."""
        return len(self.is_right)

    @property
    def is_free(self) -> BoolArray:
        """Answered trials without auto water: choice and reward depend on the animal alone, shape (n_answered,)."""
        return ~(self.auto_water[:, 0] | self.auto_water[:, 1])

    @property
    def has_water(self) -> BoolArray:
        """Whether the choice met water at its side, earned or auto water, shape (n_answered,)."""
        return self.is_rewarded | np.where(self.is_right, self.auto_water[:, 1], self.auto_water[:, 0])

    @property
    def signed_choices(self) -> FloatArray:
        """``C_R - C_L``: 1 for right, -1 for left, shape (n_answered,)."""
        return np.where(self.is_right, 1.0, -1.0)

    @property
    def signed_rewards(self) -> FloatArray:
        """``R_R - R_L``: 1 for water at the chosen right side, -1 at the left, 0 for none, shape (n_answered,)."""
        return np.where(self.has_water, self.signed_choices, 0.0)


def _auto_water(columns: Mapping[str, FloatArray], n_trials: int) -> BoolArray:
    """Return in which trials the task gave water at the left and the right side, shape (n_trials, 2)."""
    given = np.zeros((n_trials, 2), dtype=np.bool_)
    for side, names in enumerate(_FREE_WATER):
        for name in columns.keys() & set(names):
            given[:, side] |= columns[name] == 1
    return given


def _probabilities(columns: Mapping[str, FloatArray], is_answered: BoolArray) -> FloatArray | None:
    """Return both sides' probabilities of the answered trials; None when one of them is not known."""
    if not set(_PROBABILITIES) <= set(columns):
        return None
    found = np.column_stack([columns[name][is_answered] for name in _PROBABILITIES])
    for name, values in zip(_PROBABILITIES, found.T, strict=True):
        _refuse(name, values, (values < 0) | (values > 1), "between 0 and 1")
    return found if np.isfinite(found).all() else None


def _refuse(name: str, values: FloatArray, is_bad: BoolArray, expected: str) -> None:
    """Refuse a column with a value that cannot be, naming the first one."""
    if is_bad.any():
        msg = f"column `{name}` holds {values[is_bad][0]:g} in {is_bad.sum()} trials; each must be {expected}"
        raise TrialError(msg)


def history_design(sessions: Sequence[ForagingTrials], *, n_lags: int) -> tuple[FloatArray, BoolArray]:
    """Make the regressors of each free choice from the answered trials before it in the same session.

    Parameters
    ----------
    sessions : sequence of ForagingTrials
        Sessions of one subject. No lag reaches into another session: the first `n_lags` answered trials of each serve
        as history only.
    n_lags : int
        How many answered trials back.

    Returns
    -------
    design : ndarray, shape (n_used, 1 + 2 * n_lags)
        A column of ones, then ``R_R - R_L`` at lags 1 to `n_lags`, then ``C_R - C_L`` at lags 1 to `n_lags`.
    is_right : ndarray of bool, shape (n_used,)
        The choices to explain.

    Notes
    -----
    An ignored trial has neither choice nor reward, and is skipped: lag 1 is the answered trial before. A choice with
    auto water is history of the choices after it, and is not explained: the water came before it, at a side.
    """
    blocks, choices = [np.empty((0, 1 + 2 * n_lags))], [np.empty(0, dtype=np.bool_)]
    for session in sessions:
        n_used = max(session.n_answered - n_lags, 0)
        history = [
            values[n_lags - lag : n_lags - lag + n_used]
            for values in (session.signed_rewards, session.signed_choices)
            for lag in range(1, n_lags + 1)
        ]
        is_free = session.is_free[n_lags:]
        blocks.append(np.column_stack([np.ones(n_used), *history])[is_free])
        choices.append(session.is_right[n_lags:][is_free])
    return np.concatenate(blocks), np.concatenate(choices)
