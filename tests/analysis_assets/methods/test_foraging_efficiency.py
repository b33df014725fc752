"""Efficiency against foragers who know the probabilities: formulas against brute force and against such foragers."""

import numpy as np
import pytest

from analysis_assets.methods.foraging_efficiency import (
    efficiencies,
    efficiency,
    expected_with_baiting,
    expected_without_baiting,
)
from analysis_assets.methods.foraging_trials import ForagingTrials


def cycle_rate(p, q, m):
    """Return the mean reward of a cycle by following the chance that each side holds a reward."""
    waited = [2, *[1] * (m - 1)]  # trials since the better side was last visited: more after a visit to the other
    return (sum(1 - (1 - p) ** trials for trials in waited) + 1 - (1 - q) ** (m + 1)) / (m + 1)


PAIRS = [(0.7, 0.1), (0.4, 0.4), (0.9, 0.1), (0.6, 0.2), (0.4, 0.05), (0.3, 0.29), (0.66, 0.42)]


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_with_baiting_the_likelier_side_is_taken_in_each_trial(p, q):
    m = next(m for m in range(1, 100) if 1 - (1 - q) ** (m + 1) > p or (p == q and m == 1))
    expected = cycle_rate(p, q, m)
    assert expected_with_baiting(np.array([[p, q], [q, p]])) == pytest.approx([expected, expected])


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_no_cycle_earns_1_2_percent_more(p, q):
    best = max([p, *(cycle_rate(p, q, m) for m in range(1, 100))])
    (expected,) = expected_with_baiting(np.array([[p, q]]))
    assert expected <= best + 1e-12
    assert best < 1.012 * expected


@pytest.mark.parametrize(("p", "q"), [(0.7, 0.0), (1.0, 0.3), (1.0, 1.0), (0.0, 0.0)])
def test_where_the_other_side_is_never_the_likelier_the_better_one_is_taken(p, q):
    assert expected_with_baiting(np.array([[p, q]])).tolist() == [p]


def test_without_baiting_the_better_side_counts():
    assert expected_without_baiting(np.array([[0.1, 0.7], [0.6, 0.2], [0.4, 0.4]])).tolist() == [0.7, 0.6, 0.4]


def test_efficiency_is_rewards_by_what_could_be_expected():
    assert efficiency(np.array([True, False, True, False]), np.array([0.5, 1.0, 0.5, 0.5])) == 0.8
    assert efficiency(np.array([False, False]), np.zeros(2)) is None


def test_trials_with_auto_water_count_neither_as_rewards_nor_as_expected_ones():
    columns = {
        "animal_response": [0, 1, 0, 1],
        "rewarded_historyL": [1, 0, 0, 0],
        "rewarded_historyR": [0, 0, 0, 1],
        "reward_probabilityL": [0.6, 0.4, 0.4, 0.4],
        "reward_probabilityR": [0.2, 0.2, 0.2, 0.2],
        "auto_waterR": [0, 0, 1, 1],
    }
    session = ForagingTrials.from_columns({name: np.array(values, dtype=float) for name, values in columns.items()})
    assert efficiencies([session])[0] == pytest.approx(1 / (0.6 + 0.4))
    assert efficiencies([session, session])[0] == pytest.approx(2 / 2)


def test_a_forager_that_takes_the_likelier_side_has_efficiency_1_to_within_0_01():
    rng, p, q, m = np.random.default_rng(1), 0.6, 0.2, 4
    assert m == np.floor(np.log(1 - p) / np.log(1 - q))
    n, waiting, rewards = 100_000, np.zeros(2, dtype=bool), np.zeros(100_000, dtype=bool)
    for trial in range(n):
        waiting |= rng.random(2) < (p, q)
        side = int(trial % (m + 1) == m)
        rewards[trial], waiting[side] = waiting[side], False
    assert efficiency(rewards, expected_with_baiting(np.tile([p, q], (n, 1)))) == pytest.approx(1.0, abs=0.01)
