"""Every number of ``foraging_choice_model``, computed by the lab's packages and scikit-learn; nothing here is our code.

The lab's packages read the file, make the regressors (the model of Bari et al. 2019 is that of Lau and Glimcher with one
coefficient for both sides) and compute the efficiency. scikit-learn estimates and cross-validates.
"""

import json
import sys
from typing import Any

import numpy as np
import pandas as pd
from aind_dynamic_foraging_basic_analysis import compute_foraging_efficiency
from aind_dynamic_foraging_data_utils.nwb_utils import load_nwb_from_filename
from aind_dynamic_foraging_models.logistic_regression.model import prepare_logistic_design_matrix
from scipy.stats import norm
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import PredefinedSplit, cross_val_predict

COLUMNS = {"animal_response", "rewarded_historyL", "rewarded_historyR"}
DIVERGED = 12.0  # log odds: beyond what any of these animals has, and soon reached where there is no finite estimate


def sessions_of(paths: list[str]) -> list[pd.DataFrame]:
    """Read the trials of the files that have some, in the order of time."""
    tables = [nwb.trials.to_dataframe() for path in paths if (nwb := load_nwb_from_filename(path)).trials is not None]
    tables = [table.sort_values("start_time", kind="stable") for table in tables if set(table) >= COLUMNS]
    for table in tables:
        table["choice"] = table.animal_response.astype(float).replace(2.0, np.nan)
        table["earned"] = table.rewarded_historyL.astype(bool) | table.rewarded_historyR.astype(bool)
        table["is_auto"] = (table.auto_waterL > 0) | (table.auto_waterR > 0)
        met = ((table.choice == 0) & (table.auto_waterL > 0)) | ((table.choice == 1) & (table.auto_waterR > 0))
        table["received"] = table.earned | met
    return tables


def behavior(tables: list[pd.DataFrame]) -> dict[str, Any]:
    """Count trials, and measure side, reward and efficiency."""
    if not tables:
        counts = dict.fromkeys(("n_trials", "n_answered", "n_ignored", "n_auto_water", "n_auto_water_answered"), 0)
        names = ("right_share", "reward_rate", "efficiency_without_baiting", "efficiency_with_baiting")
        return counts | dict.fromkeys(names)
    trials = pd.concat(tables, ignore_index=True)
    answered = trials.dropna(subset=["choice"])
    offered = trials[["reward_probabilityL", "reward_probabilityR"]].to_numpy(dtype=float).T
    efficiency = [
        compute_foraging_efficiency(baited, trials.choice, trials.earned, offered, autowater_offered=trials.is_auto)[0]
        for baited in (False, True)
    ]
    return {
        "n_trials": len(trials),
        "n_answered": len(answered),
        "n_ignored": int(trials.choice.isna().sum()),
        "n_auto_water": int(trials.is_auto.sum()),
        "n_auto_water_answered": int(answered.is_auto.sum()),
        "right_share": answered.choice.mean(),
        "reward_rate": answered[~answered.is_auto].earned.mean(),
        "efficiency_without_baiting": efficiency[0],
        "efficiency_with_baiting": efficiency[1],
    }


def regressors(tables: list[pd.DataFrame], n_lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rewards and choices at lags 1 to `n_lags` before each choice without auto water, and the choices."""
    rows, choices = [np.empty((0, 2 * n_lags))], [np.empty(0)]
    for table in tables:
        answered = table.dropna(subset=["choice"])
        if len(answered) < n_lags + 2:
            continue
        free = np.flatnonzero(~answered.is_auto)
        made = prepare_logistic_design_matrix(
            answered.choice.astype(int),
            answered.received.astype(int),
            logistic_model="Bari2019",
            n_trial_back=n_lags,
            selected_trial_idx=free,
        )
        blocks = [made["X"][name] for name in ("RewC", "Choice")]
        rows.append(np.column_stack([block[lag] for block in blocks for lag in sorted(block.columns)]))
        choices.append(made["Y"].to_numpy()[:, 0])
    return np.concatenate(rows), np.concatenate(choices) > 0


def model() -> LogisticRegression:
    """Return a regression without a penalty."""
    return LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)


def fit(rows: np.ndarray, is_right: np.ndarray, level: float) -> list[dict[str, float]] | None:
    """Return estimate, standard error, interval and p-value of each coefficient; None where they have no bound."""
    found = model().fit(rows, is_right)
    estimate = np.concatenate([found.intercept_, found.coef_[0]])
    if np.abs(estimate).max() > DIVERGED:
        return None
    design, p = np.column_stack([np.ones(len(rows)), rows]), found.predict_proba(rows)[:, 1]
    error = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))))
    low, high = norm.interval(level, loc=estimate, scale=error)
    values = {"estimate": estimate, "std_error": error, "ci_low": low, "ci_high": high}
    return pd.DataFrame(values | {"p_value": 2 * norm.sf(np.abs(estimate / error))}).to_dict("records")


def prediction(rows: np.ndarray, is_right: np.ndarray, n_folds: int) -> dict[str, float] | None:
    """Cross-validate over unbroken stretches; None where a fold leaves the coefficients without bound."""
    ends = np.ceil(np.arange(n_folds + 1) * len(rows) / n_folds).astype(int)
    folds = PredefinedSplit(np.repeat(np.arange(n_folds), np.diff(ends)))
    fits = [model().fit(rows[train], is_right[train]) for train, _ in folds.split()]
    if max(np.abs(np.append(one.coef_, one.intercept_)).max() for one in fits) > DIVERGED:
        return None
    measured = {}
    for name, classifier in (("", model()), ("baseline_", DummyClassifier(strategy="prior"))):
        chance = cross_val_predict(classifier, rows, is_right, cv=folds, method="predict_proba")[:, 1]
        measured[f"{name}accuracy"] = accuracy_score(is_right, chance >= 0.5)
        measured[f"{name}log_likelihood"] = -log_loss(is_right, chance)
    return measured


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs and the table of coefficients."""
    tables = sessions_of(question["paths"])
    rows, is_right = regressors(tables, question["n_lags"])
    outcome, table, measured = "no_trials", None, None
    if tables:
        outcome = "too_few_trials"
    if len(rows) >= question["min_trials"]:
        table = fit(rows, is_right, question["confidence_level"])
        outcome = "fitted" if table else "separated"
        measured = prediction(rows, is_right, question["n_folds"]) if table else None
    outputs = {"outcome": outcome, "n_sessions": len(question["paths"]), "n_sessions_with_trials": len(tables)}
    names = ("accuracy", "baseline_accuracy", "log_likelihood", "baseline_log_likelihood")
    outputs |= {"n_used": len(rows)} | behavior(tables) | dict.fromkeys(names) | (measured or {})
    return {"outputs": outputs | compact(table, question["n_lags"]), "table": table or []}


def compact(table: list[dict[str, float]] | None, n_lags: int) -> dict[str, Any]:
    """Return the coefficients by the names of the outputs."""
    found: dict[str, Any] = {}
    for name, first, last in (("bias", 0, 1), ("reward", 1, 1 + n_lags), ("choice", 1 + n_lags, 1 + 2 * n_lags)):
        for end, column in (("", "estimate"), ("_low", "ci_low"), ("_high", "ci_high")):
            values = None if table is None else [row[column] for row in table[first:last]]
            key = name + end if name == "bias" or end else f"{name}_coefficients"
            found[key] = values[0] if values and name == "bias" else values
    return found


def without_nan(value: Any) -> Any:
    """Return None for a fraction of nothing."""
    return None if isinstance(value, float) and np.isnan(value) else value


if __name__ == "__main__":
    answers = [answer(question) for question in json.loads(sys.argv[1])]
    for one in answers:
        one["outputs"] = {name: without_nan(value) for name, value in one["outputs"].items()}
    print(json.dumps(answers, default=lambda number: number.item()))  # noqa: T201
