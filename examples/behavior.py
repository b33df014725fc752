"""Synthetic foraging behavior with known truth: an animal that chooses between two sides by given coefficients.

The chances of a reward change in blocks. Where the task is baited, a reward that was drawn waits until its side is
chosen. The animal is the model of `analysis_assets.foraging_choice_model`, written independently of it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LEFT, RIGHT, IGNORED = 0, 1, 2

_PROBABILITIES = ((0.1, 0.7), (0.7, 0.1), (0.4, 0.4), (0.2, 0.6), (0.6, 0.2))
_BLOCK = (20, 36)  # trials: shortest, and one more than the longest
_CUE_DELAY = 0.2  # of a trial


@dataclass(frozen=True)
class Animal:
    """Coefficients of an animal's choices, in log odds for right.

    ``reward_coefficients`` and ``choice_coefficients`` begin with the last answered trial and are as long as each
    other; ``ignored_share`` is the chance that it does not answer.
    """

    bias: float = 0.2
    reward_coefficients: tuple[float, ...] = (1.4, 0.8, 0.5, 0.3, 0.1)
    choice_coefficients: tuple[float, ...] = (0.4, 0.3, 0.1, 0.0, -0.1)
    ignored_share: float = 0.08


@dataclass(frozen=True, eq=False)
class Behavior:
    """The choices and rewards of one session, and their probabilities.

    Attributes
    ----------
    animal : Animal
        The coefficients that generated the choices.
    is_baited : bool
        Whether rewards waited until they were fetched.
    response : ndarray of int, shape (n_trials,)
        `LEFT`, `RIGHT` or `IGNORED`.
    is_rewarded : ndarray of bool, shape (n_trials,)
        Whether the chosen side gave a reward.
    probabilities : ndarray, shape (n_trials, 2), fraction
        Probability with which a reward was drawn for the left and the right side.
    """

    animal: Animal
    is_baited: bool
    response: NDArray[np.int64]
    is_rewarded: BoolArray
    probabilities: FloatArray


def make_behavior(seed: int, *, n_trials: int = 500, animal: Animal | None = None, is_baited: bool = False) -> Behavior:
    """Simulate one session of an animal.

    Parameters
    ----------
    seed : int
        Same seed, same behavior.
    n_trials : int
        Number of trials, ignored ones included.
    animal : Animal, optional
        Coefficients of the choices; by default `Animal()`.
    is_baited : bool
        Whether rewards wait until they are fetched.

    Returns
    -------
    Behavior
        Arrays with one entry or row for each trial.
    """
    rng = np.random.default_rng(seed)
    animal = animal or Animal()
    probabilities = _blocks(rng, n_trials)
    response = np.full(n_trials, IGNORED)
    is_rewarded = np.zeros(n_trials, dtype=bool)
    history = np.zeros((2, len(animal.reward_coefficients)))  # signed rewards and choices, the last trial first
    weights = np.array([animal.reward_coefficients, animal.choice_coefficients])
    waiting = np.zeros(2, dtype=bool)
    for trial in range(n_trials):
        waiting = (waiting & is_baited) | (rng.random(2) < probabilities[trial])
        is_ignored, chance = rng.random(2)
        if is_ignored < animal.ignored_share:
            continue
        side = int(chance < 1 / (1 + np.exp(-animal.bias - (weights * history).sum())))
        response[trial], is_rewarded[trial] = side, waiting[side]
        sign = 2 * side - 1
        history = np.roll(history, 1, axis=1)
        history[:, 0] = sign * waiting[side], sign
        waiting[side] = False
    return Behavior(animal, is_baited, response, is_rewarded, probabilities)


def _blocks(rng: np.random.Generator, n_trials: int) -> FloatArray:
    """Draw the reward probabilities of each trial, in blocks that differ from the one before; shape (n_trials, 2)."""
    rows: list[tuple[float, float]] = []
    pair = _PROBABILITIES[rng.integers(len(_PROBABILITIES))]
    while len(rows) < n_trials:
        rows += [pair] * int(rng.integers(*_BLOCK))
        others = [other for other in _PROBABILITIES if other != pair]
        pair = others[rng.integers(len(others))]
    return np.array(rows[:n_trials], dtype=np.float64).reshape(n_trials, 2)


def add_trials(nwb: Any, behavior: Behavior, *, duration_s: float) -> None:
    """Add the trials table of a foraging task to an NWB file.

    Parameters
    ----------
    nwb : pynwb.NWBFile
        File in memory; it gets the table ``trials``.
    behavior : Behavior
        Responses and rewards of at least one trial.
    duration_s : float, seconds
        Length of the session, which the trials fill evenly.
    """
    trial_s = duration_s / len(behavior.response)
    columns = {
        "goCue_start_time": "When the animal was asked, in seconds.",
        "animal_response": "0: left, 1: right, 2: ignored.",
        "rewarded_historyL": "Whether the left side was chosen and rewarded.",
        "rewarded_historyR": "Whether the right side was chosen and rewarded.",
        "reward_probabilityL": "Probability that a reward was drawn for the left side.",
        "reward_probabilityR": "Probability that a reward was drawn for the right side.",
    }
    for name, description in columns.items():
        nwb.add_trial_column(name, description)
    for trial, (response, is_rewarded) in enumerate(zip(behavior.response, behavior.is_rewarded, strict=True)):
        nwb.add_trial(
            start_time=trial * trial_s,
            stop_time=(trial + 1) * trial_s,
            goCue_start_time=(trial + _CUE_DELAY) * trial_s,
            animal_response=float(response),
            rewarded_historyL=bool(is_rewarded and response == LEFT),
            rewarded_historyR=bool(is_rewarded and response == RIGHT),
            reward_probabilityL=float(behavior.probabilities[trial, 0]),
            reward_probabilityR=float(behavior.probabilities[trial, 1]),
        )
