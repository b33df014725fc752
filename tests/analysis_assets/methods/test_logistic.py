"""Logistic regression: the estimate against another computation, when there is none, and prediction by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from analysis_assets.methods.logistic import cross_validate, fit_logistic, is_separated

LEVEL = 0.95


def data(seed=0, n=400):
    """Draw two regressors and choices by known coefficients."""
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(n), rng.choice([-1.0, 0.0, 1.0], (n, 2))])
    return design, rng.random(n) < 1 / (1 + np.exp(-design @ [0.3, 1.0, -0.5]))


def reweighted_least_squares(design, is_true):
    """Compute estimate and standard errors in another way."""
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ beta))
        information = design.T @ (design * (p * (1 - p))[:, None])
        beta += np.linalg.solve(information, design.T @ (is_true - p))
    return beta, np.sqrt(np.diag(np.linalg.inv(information)))


def test_the_estimate_is_that_of_reweighted_least_squares():
    design, is_true = data()
    fit = fit_logistic(design, is_true, confidence_level=LEVEL)
    beta, std_error = reweighted_least_squares(design, is_true)
    assert fit.estimate == pytest.approx(beta, abs=1e-7)
    assert fit.std_error == pytest.approx(std_error, rel=1e-6)
    assert fit.low == pytest.approx(beta - norm.ppf(0.975) * std_error, abs=1e-6)
    assert fit.high == pytest.approx(beta + norm.ppf(0.975) * std_error, abs=1e-6)
    assert fit.p_value == pytest.approx(2 * norm.sf(np.abs(beta / std_error)), rel=1e-5)
    probability = 1 / (1 + np.exp(-design @ beta))
    assert fit.log_likelihood == pytest.approx(np.log(np.where(is_true, probability, 1 - probability)).sum())


def test_a_higher_level_of_confidence_gives_a_wider_interval():
    narrow, wide = (fit_logistic(*data(), confidence_level=level) for level in (0.5, 0.99))
    assert (wide.high - wide.low > narrow.high - narrow.low).all()


@pytest.mark.parametrize("value", [True, False])
def test_choices_that_are_all_the_same_have_no_estimate(value):
    design, is_true = data()
    assert fit_logistic(design, np.full(len(is_true), value), confidence_level=LEVEL) == "one_side_chosen"


def test_regressors_that_depend_on_each_other_have_no_estimate():
    design, is_true = data()
    for column in (np.zeros(len(design)), design[:, 1] - 2 * design[:, 2]):
        assert (
            fit_logistic(np.column_stack([design, column]), is_true, confidence_level=LEVEL) == "dependent_regressors"
        )


def test_separated_choices_have_no_estimate_with_ties_or_without():
    design, _ = data()
    complete = design[:, 1] + 0.5 * design[:, 2] > -0.2
    assert fit_logistic(design, complete, confidence_level=LEVEL) == "separated"
    ties = np.where(design[:, 1] == 0, np.arange(len(design)) % 2 == 0, design[:, 1] > 0)
    assert fit_logistic(design, ties, confidence_level=LEVEL) == "separated"
    one_wrong = ties.copy()
    one_wrong[np.flatnonzero(design[:, 1] == 1)[0]] = False
    one_wrong[np.flatnonzero(design[:, 1] == -1)[0]] = True
    assert not is_separated(design, one_wrong)


def test_what_the_checks_beforehand_miss_makes_up_no_number():
    design, is_true = data()
    noise = np.random.default_rng(1).normal(size=len(design))
    almost_dependent = np.column_stack([design, design[:, 1] - 2 * design[:, 2] + 1e-11 * noise])
    assert fit_logistic(almost_dependent, is_true, confidence_level=LEVEL) == "not_converged"
    tiny = np.column_stack([design, 1e-9 * noise])  # its sum is below what counts as separated
    assert not is_separated(tiny, noise > 0)
    assert fit_logistic(tiny, noise > 0, confidence_level=LEVEL) == "not_converged"


def test_folds_are_unbroken_and_predicted_from_the_others():
    design, is_true = data(n=103)
    found = cross_validate(design, is_true, n_folds=5)
    log_odds, share = np.empty(103), np.empty(103)
    for part in np.array_split(np.arange(103), [21, 42, 62, 83]):
        rest = np.setdiff1d(np.arange(103), part)
        log_odds[part] = design[part] @ reweighted_least_squares(design[rest], is_true[rest])[0]
        share[part] = is_true[rest].mean()
    probability = 1 / (1 + np.exp(-log_odds))
    assert found.accuracy == ((probability > 0.5) == is_true).mean()
    assert found.baseline_accuracy == ((share > 0.5) == is_true).mean()
    assert found.log_likelihood == pytest.approx(np.log(np.where(is_true, probability, 1 - probability)).mean())
    assert found.baseline_log_likelihood == pytest.approx(np.log(np.where(is_true, share, 1 - share)).mean())


def test_the_baseline_does_not_look_into_the_fold_that_it_predicts():
    design, _ = data(n=100)
    is_true = np.arange(100) % 2 == 0
    is_true[:50] ^= np.random.default_rng(0).random(50) < 0.9  # most of the first half false, so that folds differ
    found = cross_validate(design, is_true, n_folds=2)
    shares = is_true[50:].mean(), is_true[:50].mean()
    expected = [(is_true[:50] == (shares[0] >= 0.5)).mean(), (is_true[50:] == (shares[1] >= 0.5)).mean()]
    assert found.baseline_accuracy == pytest.approx(np.mean(expected))


def test_a_fold_without_which_there_is_no_estimate_leaves_prediction_unknown():
    design, is_true = data(n=40)
    is_true[:20], is_true[20:] = False, design[20:, 1] + is_true[20:] > 0
    assert cross_validate(design, is_true, n_folds=2) is None
