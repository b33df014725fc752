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

REQUIRED = ("animal_response", "rewarded_historyL", "rewarded_historyR")
OPTIONAL = ("reward_probabilityL", "reward_probabilityR")

_LEFT, _RIGHT, _IGNORED = 0.0, 1.0, 2.0
_ALLOWED = {
    "animal_response": (_LEFT, _RIGHT, _IGNORED),
    "rewarded_historyL": (0.0, 1.0),
    "rewarded_historyR": (0.0, 1.0),
}


class TrialError(ValueError):
    """A value that no trial of this task can have."""


@dataclass(frozen=True)
class ForagingTrials:
    """The answered trials of one session; ignored ones are only counted.

    Attributes
    ----------
    n_trials : int
        All trials, ignored ones included.
    is_right : ndarray of bool, shape (n_answered,)
        The side that was chosen.
    is_rewarded : ndarray of bool, shape (n_answered,)
        Whether the chosen side gave a reward. One at the other side, such as free water, is no reward of the choice.
    reward_probabilities : ndarray, shape (n_answered, 2), fraction, or None
        Of the left and the right side; None when the file does not say them for every answered trial.
    """

    n_trials: int
    is_right: BoolArray
    is_rewarded: BoolArray
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
            If a response is none of 0 (left), 1 (right) and 2 (ignored), a reward is not 0 or 1, or a probability is
            outside 0 to 1. An unknown probability (not a number) is none of these.
        """
        for name, allowed in _ALLOWED.items():
            _refuse(
                name, columns[name], ~np.isin(columns[name], allowed), f"one of {', '.join(f'{v:g}' for v in allowed)}"
            )
        response, left, right = (columns[name] for name in REQUIRED)
        is_answered = response != _IGNORED
        is_right = response[is_answered] == _RIGHT
        return cls(
            n_trials=len(response),
            is_right=is_right,
            is_rewarded=np.where(is_right, right[is_answered], left[is_answered]) == 1,
            reward_probabilities=_probabilities(columns, is_answered),
        )

    @property
    def n_answered(self) -> int:
        """Trials in which a side was chosen."""
        return len(self.is_right)

    @property
    def signed_choices(self) -> FloatArray:
        """``C_R - C_L``: 1 for right, -1 for left, shape (n_answered,)."""
        return np.where(self.is_right, 1.0, -1.0)

    @property
    def signed_rewards(self) -> FloatArray:
        """``R_R - R_L``: 1 for a reward at the right, -1 at the left, 0 for none, shape (n_answered,)."""
        return np.where(self.is_rewarded, self.signed_choices, 0.0)


def _probabilities(columns: Mapping[str, FloatArray], is_answered: BoolArray) -> FloatArray | None:
    """Return both sides' probabilities of the answered trials; None when one of them is not known."""
    if not set(OPTIONAL) <= set(columns):
        return None
    found = np.column_stack([columns[name][is_answered] for name in OPTIONAL])
    for name, values in zip(OPTIONAL, found.T, strict=True):
        _refuse(name, values, (values < 0) | (values > 1), "between 0 and 1")
    return found if np.isfinite(found).all() else None


def _refuse(name: str, values: FloatArray, is_bad: BoolArray, expected: str) -> None:
    """Refuse a column with a value that cannot be, naming the first one."""
    if is_bad.any():
        msg = f"column `{name}` holds {values[is_bad][0]:g} in {is_bad.sum()} trials; each must be {expected}"
        raise TrialError(msg)


def history_design(sessions: Sequence[ForagingTrials], *, n_lags: int) -> tuple[FloatArray, BoolArray]:
    """Make the regressors of each choice from the answered trials before it in the same session.

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
    An ignored trial has neither choice nor reward, and is skipped: lag 1 is the answered trial before.
    """
    blocks, choices = [np.empty((0, 1 + 2 * n_lags))], [np.empty(0, dtype=np.bool_)]
    for session in sessions:
        n_used = max(session.n_answered - n_lags, 0)
        history = [
            values[n_lags - lag : n_lags - lag + n_used]
            for values in (session.signed_rewards, session.signed_choices)
            for lag in range(1, n_lags + 1)
        ]
        blocks.append(np.column_stack([np.ones(n_used), *history]))
        choices.append(session.is_right[n_lags:])
    return np.concatenate(blocks), np.concatenate(choices)
