"""Logistic regression by maximum likelihood: whether the estimate exists, the estimate, and how well it predicts.

statsmodels and SciPy are imported where they are used, because their import takes seconds.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
NoEstimate = Literal["one_side_chosen", "dependent_regressors", "separated", "not_converged"]

_MAX_ITERATIONS = 100  # of Newton's method, which needs about six
_SEPARATION = 1e-6  # for each observation: above the solver's tolerance, far below what a regressor of 1 gives


@dataclass(frozen=True)
class LogisticFit:
    """Coefficients of a logistic regression, with Wald's confidence intervals.

    Attributes
    ----------
    estimate, std_error, low, high, p_value : ndarray, shape (n_regressors,)
        All but the p-values in log odds; ``low`` and ``high`` bound the confidence interval.
    log_likelihood : float, nats
        Of all observations.
    """

    estimate: FloatArray
    std_error: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    log_likelihood: float


@dataclass(frozen=True)
class Prediction:
    """How well choices are predicted that the coefficients were not estimated from.

    Attributes
    ----------
    accuracy, baseline_accuracy : float, fraction
        Choices predicted rightly by the model, and by always naming the more frequent one.
    log_likelihood, baseline_log_likelihood : float, nats for each choice
        Mean logarithm of the probability that was given to what was chosen, by the model, and by the frequency alone.
    """

    accuracy: float
    baseline_accuracy: float
    log_likelihood: float
    baseline_log_likelihood: float


def fit_logistic(design: FloatArray, is_true: BoolArray, *, confidence_level: float) -> LogisticFit | NoEstimate:
    """Estimate the coefficients, or say why no estimate exists.

    Parameters
    ----------
    design : ndarray, shape (n, n_regressors)
        A column of ones among the regressors makes the intercept.
    is_true : ndarray of bool, shape (n,)
        The observed choices.
    confidence_level : float, fraction
        Of the confidence intervals.

    Returns
    -------
    LogisticFit or str
        ``one_side_chosen``: all choices are the same. ``dependent_regressors``: one regressor is a sum of others.
        ``separated``: some sum of regressors never points the wrong way, so that the likelihood grows without end.
        ``not_converged``: the search did not end.

    Notes
    -----
    A finite and unique estimate exists when the regressors are independent and the choices overlap: Albert and
    Anderson (1984), doi:10.1093/biomet/71.1.1. That is decided beforehand, by the rank of the design and by a linear
    programme, and not by watching the search diverge.
    """
    if is_true.all() or not is_true.any():
        return "one_side_chosen"
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return "dependent_regressors"
    if is_separated(design, is_true):
        return "separated"
    return _newton(design, is_true, confidence_level=confidence_level)


def is_separated(design: FloatArray, is_true: BoolArray) -> bool:
    """Tell whether the choices are separated, completely or but for ties, by a sum of the regressors.

    Parameters
    ----------
    design : ndarray, shape (n, n_regressors)
        Independent regressors.
    is_true : ndarray of bool, shape (n,)
        The observed choices.

    Returns
    -------
    bool
        True when coefficients exist that never point the wrong way and somewhere the right way.
    """
    from scipy.optimize import linprog  # noqa: PLC0415 - as the module says

    signed = np.where(is_true, 1.0, -1.0)[:, np.newaxis] * design
    found = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs")
    return bool(found.success and -found.fun > _SEPARATION * len(signed))


def _newton(design: FloatArray, is_true: BoolArray, *, confidence_level: float) -> LogisticFit | NoEstimate:
    """Maximise the likelihood, which has one finite maximum."""
    from statsmodels.discrete.discrete_model import Logit  # noqa: PLC0415 - as the module says

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what statsmodels warns of is in `converged`, which decides
        try:
            found = Logit(is_true.astype(np.float64), design).fit(method="newton", maxiter=_MAX_ITERATIONS, disp=False)
        except np.linalg.LinAlgError:  # a step so far that the curvature is lost
            return "not_converged"
    if not found.mle_retvals["converged"]:
        return "not_converged"
    low, high = np.asarray(found.conf_int(alpha=1 - confidence_level)).T
    return LogisticFit(
        estimate=np.asarray(found.params),
        std_error=np.asarray(found.bse),
        low=low,
        high=high,
        p_value=np.asarray(found.pvalues),
        log_likelihood=float(found.llf),
    )


def cross_validate(design: FloatArray, is_true: BoolArray, *, n_folds: int) -> Prediction | None:
    """Predict each fold from coefficients that were estimated without it.

    Parameters
    ----------
    design : ndarray, shape (n, n_regressors)
        In the order of time.
    is_true : ndarray of bool, shape (n,)
        The observed choices.
    n_folds : int
        Folds: unbroken stretches of observations, as equal in length as can be. Nothing is drawn by chance.

    Returns
    -------
    Prediction or None
        None when the observations outside some fold do not determine the coefficients.

    Notes
    -----
    The baseline is estimated outside the fold too: it names the choice that is more frequent there (true, if both are
    equally frequent). The regressors of an observation are known before it, so they may come from another fold.
    """
    fold = np.arange(len(is_true)) * n_folds // max(len(is_true), 1)
    model, baseline = np.empty(len(is_true)), np.empty(len(is_true))
    for number in range(n_folds):
        is_test = fold == number
        fit = fit_logistic(design[~is_test], is_true[~is_test], confidence_level=0.95)
        if isinstance(fit, str):
            return None
        model[is_test] = design[is_test] @ fit.estimate
        share = is_true[~is_test].mean()
        baseline[is_test] = np.log(share / (1 - share))
    return Prediction(
        accuracy=_accuracy(model, is_true),
        baseline_accuracy=_accuracy(baseline, is_true),
        log_likelihood=_log_likelihood(model, is_true),
        baseline_log_likelihood=_log_likelihood(baseline, is_true),
    )


def _accuracy(log_odds: FloatArray, is_true: BoolArray) -> float:
    """Return the share of choices whose more probable side was chosen."""
    return float(((log_odds >= 0) == is_true).mean())


def _log_likelihood(log_odds: FloatArray, is_true: BoolArray) -> float:
    """Return the mean logarithm of the probability of what was chosen; exact for large log odds, too."""
    return float(-np.logaddexp(0, np.where(is_true, -log_odds, log_odds)).mean())
