"""Statistics of amplitudes, measured against amplitudes whose truth is known."""

import numpy as np
import pytest

from analysis_assets.methods.spike_amplitudes import amplitude_cutoff, amplitude_cv, amplitude_median, clean_sizes


def cut_amplitudes(*, missed_share, n=20_000, seed=0):
    """Draw Gaussian amplitudes and leave out the smallest."""
    drawn = np.sort(np.random.default_rng(seed).normal(100.0, 12.0, n))
    return drawn[round(missed_share * n) :]


def test_sizes_are_absolute_and_finite():
    assert clean_sizes([-3.0, np.nan, 2.0, -np.inf]).tolist() == [3.0, 2.0]


def test_complete_amplitudes_have_no_cutoff():
    assert amplitude_cutoff(cut_amplitudes(missed_share=0.0)) < 0.01


@pytest.mark.parametrize("missed_share", [0.02, 0.05, 0.1, 0.2])
def test_missed_spikes_are_recovered_relative_to_those_seen_to_within_0_08(missed_share):
    estimate = amplitude_cutoff(cut_amplitudes(missed_share=missed_share))
    assert estimate == pytest.approx(missed_share / (1 - missed_share), abs=0.08)


def test_more_missed_spikes_give_a_higher_cutoff():
    estimates = [amplitude_cutoff(cut_amplitudes(missed_share=share)) for share in (0.0, 0.05, 0.1, 0.2)]
    assert estimates == sorted(estimates)


def test_a_distribution_cut_at_its_peak_or_above_says_half():
    assert amplitude_cutoff(cut_amplitudes(missed_share=0.7)) == 0.5


def test_the_sign_and_the_unit_do_not_matter():
    amplitudes = cut_amplitudes(missed_share=0.1)
    assert amplitude_cutoff(-1e-6 * amplitudes) == pytest.approx(amplitude_cutoff(amplitudes), abs=0.005)


@pytest.mark.parametrize("amplitudes", [[], np.ones(10_000), np.arange(499.0)], ids=["none", "all alike", "too few"])
def test_the_cutoff_is_undefined_where_there_is_no_distribution(amplitudes):
    assert amplitude_cutoff(amplitudes) is None


def test_median_and_variation_are_those_of_the_sizes():
    assert amplitude_median([-1.0, -3.0, np.nan]) == 2.0
    assert amplitude_cv([-1.0, -3.0, np.nan]) == 0.5


def test_median_and_variation_are_undefined_without_amplitudes():
    assert amplitude_median([np.nan]) is None
    assert amplitude_cv([]) is None
    assert amplitude_cv([0.0, 0.0]) is None
