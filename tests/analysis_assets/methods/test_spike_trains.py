"""Statistics of spike trains, measured against trains whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis_assets.methods.spike_trains import (
    clean_spike_times,
    hill_contamination,
    is_uncensored,
    isi_violation_count,
    llobet_contamination,
    measure_train,
    merge_intervals,
    presence_ratio,
    refractory_pair_count,
    restrict,
)
from examples.sessions import spike_train

HOUR_S = 3600.0
WHOLE_HOUR = [[0.0, HOUR_S]]
SETTINGS = {"refractory_period_s": 0.0015, "censored_period_s": 0.0, "presence_bin_s": 60.0}

times = st.lists(st.floats(min_value=0, max_value=100, allow_nan=False), max_size=60)


def test_times_are_sorted_and_those_that_are_not_finite_left_out():
    assert clean_spike_times([3.0, np.nan, 1.0, np.inf, 1.0]).tolist() == [1.0, 1.0, 3.0]


def test_sorted_times_are_left_as_they_are():
    assert clean_spike_times(np.array([1.0, 1.0, 2.0])).tolist() == [1.0, 1.0, 2.0]


def test_intervals_that_overlap_touch_or_enclose_each_other_become_one():
    merged = merge_intervals([[5, 6], [0, 10], [10, 11], [20, 21], [np.nan, 3], [30, 30]])
    assert merged.tolist() == [[0, 11], [20, 21]]


@pytest.mark.parametrize("nothing", [[], [[2, 1]], np.empty((0, 2))])
def test_no_interval_is_left_when_none_has_a_length(nothing):
    assert merge_intervals(nothing).shape == (0, 2)


def test_spikes_in_gaps_are_left_out_and_the_clock_stops_there():
    inside, clock = restrict(
        np.array([-1.0, 0.0, 5.0, 7.0, 12.0, 20.0, 21.0]), intervals_s=merge_intervals([[0, 5], [10, 20]])
    )
    assert inside.tolist() == [0.0, 5.0, 12.0, 20.0]
    assert clock.tolist() == [0.0, 5.0, 7.0, 15.0]


def test_without_intervals_nothing_is_observed():
    inside, clock = restrict(np.array([1.0]), intervals_s=np.empty((0, 2)))
    assert inside.size == clock.size == 0


def test_a_censored_period_of_zero_takes_exact_duplicates_only():
    kept = is_uncensored(np.array([1.0, 1.0, 1.0001, 2.0]), censored_period_s=0.0)
    assert kept.tolist() == [True, False, True, True]


def test_a_spike_at_exactly_the_censored_period_is_an_artefact():
    kept = is_uncensored(np.array([1.0, 1.0003, 2.0]), censored_period_s=0.0003)
    assert kept.tolist() == [True, False, True]


@pytest.mark.parametrize("late_s", [0.0, 1.0, 1e4, 1e5 / 3])
def test_an_interval_of_exactly_one_refractory_period_is_no_violation_however_late(late_s):
    samples = np.array([0, 45, 89])  # 45 samples of 30 kHz are 1.5 ms
    assert isi_violation_count(late_s + samples / 30_000, refractory_period_s=0.0015) == 1
    assert refractory_pair_count(late_s + samples / 30_000, refractory_period_s=0.0015) == 1


def test_pairs_are_counted_that_are_no_neighbours():
    burst = np.array([0.0, 0.0004, 0.0008, 1.0])
    assert isi_violation_count(burst, refractory_period_s=0.001) == 2
    assert refractory_pair_count(burst, refractory_period_s=0.001) == 3


@given(times)
def test_there_are_never_more_violations_than_pairs(stored):
    train = clean_spike_times(stored)
    violations = isi_violation_count(train, refractory_period_s=0.5)
    pairs = refractory_pair_count(train, refractory_period_s=0.5)
    by_hand = sum(b - a < 0.5 - 1e-9 for i, a in enumerate(train) for b in train[i + 1 :])
    assert violations <= pairs
    assert abs(pairs - by_hand) <= sum(abs(b - a - 0.5) < 1e-8 for a in train for b in train)


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.1, 0.3])
def test_llobet_recovers_contamination_by_many_neurons_to_within_0_02(fraction):
    train, is_foreign = spike_train(np.random.default_rng(1), rate_hz=20, duration_s=HOUR_S, contamination=fraction)
    measures = measure_train(train, intervals_s=WHOLE_HOUR, **SETTINGS)
    assert measures.contamination_llobet == pytest.approx(is_foreign.mean(), abs=0.02)


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.2])
def test_hill_recovers_contamination_by_one_other_neuron_to_within_0_03(fraction):
    rng = np.random.default_rng(2)
    own, _ = spike_train(rng, rate_hz=20 * (1 - fraction), duration_s=HOUR_S)
    other, _ = spike_train(rng, rate_hz=20 * fraction, duration_s=HOUR_S)
    measures = measure_train(np.concatenate([own, other]), intervals_s=WHOLE_HOUR, **SETTINGS)
    assert measures.contamination_hill == pytest.approx(len(other) / (len(own) + len(other)), abs=0.03)


def test_contamination_is_recovered_where_sorting_censors_short_intervals():
    train, is_foreign = spike_train(np.random.default_rng(3), rate_hz=20, duration_s=HOUR_S, contamination=0.2)
    measures = measure_train(train, intervals_s=WHOLE_HOUR, **(SETTINGS | {"censored_period_s": 0.0005}))
    assert measures.used_spike_count < measures.spike_count == len(train)
    assert measures.contamination_llobet == pytest.approx(is_foreign.mean(), abs=0.03)


@pytest.mark.parametrize("formula", [hill_contamination, llobet_contamination])
def test_more_violations_than_a_formula_can_explain_are_full_contamination(formula):
    assert formula(1000, 100, 100.0, 0.002, 0.0) == 1.0


@pytest.mark.parametrize("formula", [hill_contamination, llobet_contamination])
@pytest.mark.parametrize(("spike_count", "duration_s"), [(0, 10.0), (1, 10.0), (5, 0.0)])
def test_contamination_is_undefined_without_two_spikes_and_a_duration(formula, spike_count, duration_s):
    assert formula(0, spike_count, duration_s, 0.002, 0.0) is None


def test_hill_solves_the_published_equation():
    fraction = hill_contamination(4, 1000, 100.0, 0.002, 0.001)
    assert 2 * (0.002 - 0.001) * 1000**2 / 100.0 * fraction * (1 - fraction) == pytest.approx(4)


def test_llobet_is_the_published_formula():
    assert llobet_contamination(7, 1000, 100.0, 0.002, 0.001) == pytest.approx(1 - (1 - 7 * 98 / 1000) ** 0.5)


def test_a_unit_that_fires_in_every_second_bin_has_half_the_presence():
    assert presence_ratio(np.arange(30.0, 600.0, 120.0), duration_s=600.0, bin_s=60.0) == 0.5


def test_the_last_instant_belongs_to_the_last_bin():
    assert presence_ratio(np.array([600.0]), duration_s=600.0, bin_s=60.0) == 0.1


def test_a_recording_shorter_than_a_bin_is_one_bin():
    assert presence_ratio(np.array([1.0]), duration_s=10.0, bin_s=60.0) == 1.0


def test_presence_is_undefined_without_a_duration_and_zero_without_spikes():
    assert presence_ratio(np.empty(0), duration_s=0.0, bin_s=60.0) is None
    assert presence_ratio(np.empty(0), duration_s=60.0, bin_s=60.0) == 0.0


def test_order_does_not_matter_and_duplicates_are_counted_but_not_used():
    train, _ = spike_train(np.random.default_rng(4), rate_hz=10, duration_s=600.0)
    once = measure_train(train, intervals_s=[[0, 600]], **SETTINGS)
    twice = measure_train(np.concatenate([train, train])[::-1], intervals_s=[[0, 600]], **SETTINGS)
    assert twice.spike_count == 2 * once.spike_count
    assert twice.used_spike_count == once.used_spike_count
    assert twice.firing_rate_hz == once.firing_rate_hz
    assert twice.isi_violation_count == once.isi_violation_count == 0


def test_a_silent_unit_has_a_rate_and_no_contamination():
    measures = measure_train([], intervals_s=[[0, 600]], **SETTINGS)
    assert (measures.spike_count, measures.firing_rate_hz, measures.presence_ratio) == (0, 0.0, 0.0)
    assert measures.isi_violation_fraction is None
    assert measures.contamination_hill is None


def test_one_spike_decides_nothing_about_intervals():
    measures = measure_train([3.0], intervals_s=[[0, 600]], **SETTINGS)
    assert measures.firing_rate_hz == pytest.approx(1 / 600)
    assert measures.isi_violation_fraction is None
    assert measures.contamination_llobet is None


def test_a_unit_that_was_never_observed_has_no_rate():
    measures = measure_train([3.0], intervals_s=[], **SETTINGS)
    assert (measures.spike_count, measures.used_spike_count, measures.observed_s) == (1, 0, 0.0)
    assert measures.firing_rate_hz is None
    assert measures.presence_ratio is None
