"""The synthetic animal does what its coefficients say, in a task that gives rewards as stated."""

import numpy as np
import pytest

from examples.behavior import IGNORED, Animal, make_behavior

INDIFFERENT = Animal(bias=0.0, reward_coefficients=(0.0,), choice_coefficients=(0.0,), ignored_share=0.1)


def test_the_same_seed_gives_the_same_behavior_and_another_seed_another():
    first, again, other = (make_behavior(seed, n_trials=200) for seed in (1, 1, 2))
    assert first.response.tolist() == again.response.tolist() != other.response.tolist()
    assert first.is_rewarded.tolist() == again.is_rewarded.tolist()


def test_probabilities_change_in_blocks_of_20_to_35_trials():
    probabilities = make_behavior(3, n_trials=2000).probabilities
    changes = np.flatnonzero(np.diff(probabilities, axis=0).any(axis=1)) + 1
    lengths = np.diff([0, *changes])
    assert (lengths.min() >= 20, lengths.max() <= 35) == (True, True)


def test_an_animal_without_preferences_chooses_and_ignores_by_chance():
    behavior = make_behavior(0, n_trials=20_000, animal=INDIFFERENT)
    assert (behavior.response == IGNORED).mean() == pytest.approx(0.1, abs=0.01)
    assert (behavior.response == 1).mean() == pytest.approx(0.45, abs=0.015)
    assert not behavior.is_rewarded[behavior.response == IGNORED].any()


@pytest.mark.parametrize("side", [0, 1])
def test_without_baiting_rewards_come_with_the_stated_probability(side):
    behavior = make_behavior(0, n_trials=40_000, animal=INDIFFERENT)
    chosen = behavior.response == side
    for p in np.unique(behavior.probabilities):
        of_this = chosen & (behavior.probabilities[:, side] == p)
        assert behavior.is_rewarded[of_this].mean() == pytest.approx(p, abs=0.03)


def test_with_baiting_rewards_wait_until_they_are_fetched():
    baited, plain = (make_behavior(0, n_trials=20_000, animal=INDIFFERENT, is_baited=b) for b in (True, False))
    assert baited.is_rewarded.mean() > plain.is_rewarded.mean() + 0.1
    one_sided = Animal(bias=50.0, reward_coefficients=(0.0,), choice_coefficients=(0.0,), ignored_share=0.0)
    always = make_behavior(0, n_trials=20_000, animal=one_sided, is_baited=True)
    assert always.is_rewarded.mean() == pytest.approx(always.probabilities[:, 1].mean(), abs=0.01)


def test_the_bias_is_in_log_odds_of_right():
    animal = Animal(bias=0.7, reward_coefficients=(0.0,), choice_coefficients=(0.0,), ignored_share=0.0)
    share = (make_behavior(0, n_trials=20_000, animal=animal).response == 1).mean()
    assert np.log(share / (1 - share)) == pytest.approx(0.7, abs=0.05)
