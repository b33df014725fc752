"""Trials become regressors by the rule, by hand on a few trials."""

import numpy as np
import pytest

from analysis_assets.methods.foraging_trials import ForagingTrials, TrialError, history_design


def trials(responses, left, right, **optional):
    columns = {"animal_response": responses, "rewarded_historyL": left, "rewarded_historyR": right, **optional}
    return ForagingTrials.from_columns({name: np.array(values, dtype=float) for name, values in columns.items()})


#        right+  ignored  left-  left+  right-
FIVE = ([1, 2, 0, 0, 1], [0, 0, 0, 1, 0], [1, 0, 0, 0, 0])


def test_ignored_trials_are_counted_and_skipped():
    five = trials(*FIVE)
    assert (five.n_trials, five.n_answered) == (5, 4)
    assert five.signed_choices.tolist() == [1, -1, -1, 1]
    assert five.signed_rewards.tolist() == [1, 0, -1, 0]


def test_each_row_holds_the_answered_trials_before_it_rewards_first():
    design, is_right = history_design([trials(*FIVE)], n_lags=2)
    assert design.tolist() == [[1, 0, 1, -1, 1], [1, -1, 0, -1, -1]]
    assert is_right.tolist() == [False, True]


def test_no_lag_reaches_into_another_session():
    alone, _ = history_design([trials(*FIVE)], n_lags=2)
    both, is_right = history_design([trials(*FIVE), trials(*FIVE)], n_lags=2)
    assert both.tolist() == [*alone.tolist(), *alone.tolist()]
    assert len(is_right) == 4


@pytest.mark.parametrize("sessions", [[], [trials([], [], [])], [trials([2], [0], [0])], [trials(*FIVE)]])
def test_sessions_shorter_than_the_history_give_no_rows(sessions):
    design, is_right = history_design(sessions, n_lags=4)
    assert (design.shape, is_right.shape) == ((0, 9), (0,))


def test_a_reward_at_the_side_that_was_not_chosen_is_none_of_the_choice():
    assert trials([0, 1, 2], [0, 1, 1], [1, 0, 1]).is_rewarded.tolist() == [False, False]


NOTHING = [0, 0, 0, 0, 0]
#         both          right     left
WATER = {"auto_waterL": [1, 0, 0, 1, 0], "auto_waterR": [1, 0, 1, 0, 0]}


def test_auto_water_at_the_chosen_side_is_received_and_not_earned():
    five = trials([1, 2, 0, 0, 1], NOTHING, NOTHING, **WATER)
    assert five.auto_water.tolist() == [[True, True], [False, True], [True, False], [False, False]]
    assert five.is_rewarded.tolist() == [False] * 4
    assert five.signed_rewards.tolist() == [1, 0, -1, 0]


def test_trials_with_auto_water_are_counted_also_if_they_were_ignored():
    five = trials([2, 2, 0, 0, 1], NOTHING, NOTHING, **WATER)
    assert (five.n_auto_water, five.is_free.tolist()) == (3, [False, False, True])


def test_a_choice_with_auto_water_is_history_and_is_not_explained():
    design, is_right = history_design([trials([1, 2, 0, 0, 1], NOTHING, NOTHING, **WATER)], n_lags=1)
    assert design.tolist() == [[1, -1, -1]]  # the last one, after water at the chosen left side
    assert is_right.tolist() == [True]


@pytest.mark.parametrize(
    ("columns", "given"),
    [
        ({"auto_waterL": [1, 0], "auto_waterR": [0, 0]}, [[True, False], [False, False]]),
        ({"auto_waterR": [1, 0]}, [[False, True], [False, False]]),
        ({"auto_water": [0, 1]}, [[False, False], [True, True]]),
        ({"anti_bias_left_water": [1, 0], "auto_waterL": [0, 1]}, [[True, False], [True, False]]),
        ({"anti_bias_right_water": [0, 1]}, [[False, False], [False, True]]),
        ({}, [[False, False], [False, False]]),
    ],
)
def test_auto_water_is_read_from_the_columns_of_each_exporter(columns, given):
    assert trials([0, 1], [0, 0], [0, 0], **columns).auto_water.tolist() == given


def test_probabilities_are_those_of_the_answered_trials():
    both = {"reward_probabilityL": [0.1, np.nan, 0.3], "reward_probabilityR": [0.4, 0.5, 0.6]}
    assert trials([0, 2, 1], [0, 0, 0], [0, 0, 0], **both).reward_probabilities.tolist() == [[0.1, 0.4], [0.3, 0.6]]
    assert trials([0, 1, 1], [0, 0, 0], [0, 0, 0], **both).reward_probabilities is None
    assert trials([0], [0], [0], reward_probabilityL=[0.5]).reward_probabilities is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 3, 1], [0, 0, 0], [0, 0, 0]), "`animal_response` holds 3 in 1 trials; each must be one of 0, 1, 2"),
        (([0, np.nan], [0, 0], [0, 0]), "`animal_response` holds nan in 1 trials"),
        (([0, 0.5], [0, 0], [0, 0]), "`animal_response` holds 0.5 in 1 trials"),
        (([0, 1], [2, 2], [0, 0]), "`rewarded_historyL` holds 2 in 2 trials; each must be one of 0, 1"),
        (([0, 1], [0, 0], [0, np.nan]), "`rewarded_historyR` holds nan in 1 trials"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_column(columns, message):
    with pytest.raises(TrialError, match=message):
        trials(*columns)


@pytest.mark.parametrize("name", ["auto_waterL", "auto_waterR", "auto_water", "anti_bias_left_water"])
@pytest.mark.parametrize("value", [np.nan, 2, -1])
def test_auto_water_that_is_not_0_or_1_is_rejected(name, value):
    with pytest.raises(TrialError, match=f"`{name}` holds {value:g} in 1 trials; each must be one of 0, 1"):
        trials([0, 1], [0, 0], [0, 0], **{name: [0, value]})


@pytest.mark.parametrize("value", [-0.1, 1.1, np.inf])
def test_a_probability_outside_0_to_1_is_refused(value):
    with pytest.raises(TrialError, match=r"`reward_probabilityR` holds .* each must be between 0 and 1"):
        trials([0], [0], [0], reward_probabilityL=[0.5], reward_probabilityR=[value])
