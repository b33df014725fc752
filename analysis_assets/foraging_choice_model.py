"""What does an animal base its choices on? Logistic regression of choice on the history of rewards and choices.

For the trials of a dynamic-foraging session, in which an animal chooses left or right and the chances of a reward change
in blocks: how strongly each of the last rewards and choices pulls the next choice, how well they predict it, and how
much of the available reward was earned.

Method
------
- **Model**, of Lau and Glimcher (2005, doi:10.1901/jeab.2005.110-04), with one coefficient for both sides:
  ``log(p_R / p_L) = bias + Σ_j a_j (R_R - R_L)(i - j) + Σ_j b_j (C_R - C_L)(i - j)``, over lags ``j`` from 1 to
  `n_lags`. ``R`` is 1 for a rewarded choice of that side, ``C`` for any choice of it. Positive means: more to the right,
  or again to the side that was rewarded or chosen. ``a`` and ``b`` are in log odds for each reward and choice.
- **Trials** in which the animal ignored the cue have neither choice nor reward. They are skipped: a lag counts answered
  trials. Lags never reach into another session, so the first `n_lags` answered trials of each are history only.
- **Auto water** is water that the task gives at a side with the cue, before the choice. It is history of the choices
  after it: Lau and Glimcher regress on the rewards that were received, so that auto water at the chosen side is a reward
  ``R`` (as in the side bias of aind-dynamic-foraging-basic-analysis), and at the other side none. The choice of such a
  trial is not explained: the water came before it and draws it to a side, which a model of history cannot say. Reward
  rate and efficiency leave these trials out, as `compute_foraging_efficiency` of that package does.
- **Estimate**: maximum likelihood, Wald confidence intervals. Where no finite, unique estimate exists (Albert and
  Anderson 1984, doi:10.1093/biomet/71.1.1) the outcome says why, and there are no coefficients.
- **Prediction**: cross-validated over `n_folds` unbroken stretches of trials in order. Beside it, what always choosing
  the side that was more frequent outside the fold gives.
- **Efficiency**: earned rewards by what a forager expects who knows the reward probabilities and always chooses the
  side that is the likelier to give one: the better side, where rewards are drawn again in each trial; a cycle of both
  sides, where they wait until they are fetched (Houston and McNamara 1981, doi:10.1901/jeab.1981.35-367). The trials do
  not say which task it was, so both are given.

Several sessions in a job are one fit, and must be of one subject.

Outputs
-------
``coefficients.parquet``, one row for each coefficient (see `Coefficient`), and ``foraging_choice_model.png``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from analysis_assets.methods.choice_figure import draw_choice_model
from analysis_assets.methods.foraging_behavior import behavior_of
from analysis_assets.methods.foraging_trials import OPTIONAL, REQUIRED, ForagingTrials, TrialError, history_design
from analysis_assets.methods.logistic import LogisticFit, Prediction, cross_validate, fit_logistic
from analysis_assets.methods.tables import write_table
from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel
from domain.errors import InputError
from resources.nwb import describe_session, open_nwb
from resources.nwb_trials import read_trials

Outcome = Literal[
    "fitted",
    "no_trials",
    "too_few_trials",
    "one_side_chosen",
    "dependent_regressors",
    "separated",
    "not_converged",
]
_WHY_NOT = {
    "no_trials": "No foraging trials in this input",
    "too_few_trials": "Too few trials to fit",
    "one_side_chosen": "No fit: one side was always chosen",
    "dependent_regressors": "No fit: rewards and choices cannot be told apart",
    "separated": "No fit: the history predicts the choices without error, so that coefficients have no bound",
    "not_converged": "No fit: the search for the maximum did not end",
}
_MUCH_AUTO_WATER = 0.1  # of the trials


class Parameters(ParametersModel):
    """How far back the history goes, and how the model is judged."""

    analysis_name: str = Field(default="Foraging Choice Model", max_length=200, description="A label, for people.")
    analysis_tag: str = Field(default="baseline_v1.0", max_length=200, description="Another label, for people.")
    n_lags: int = Field(
        default=5, ge=1, le=50, description="Answered trials back whose rewards and choices are regressors (count)."
    )
    min_trials: int = Field(
        default=100, ge=20, le=1_000_000, description="With fewer trials to explain there is no fit (count)."
    )
    n_folds: int = Field(default=5, ge=2, le=20, description="Folds of the cross-validation (count).")
    confidence_level: float = Field(
        default=0.95, ge=0.5, le=0.999, description="Of the confidence intervals (fraction)."
    )


class Outputs(OutputsModel):
    """What was fitted to how many trials, how well it predicts, and how efficient the animal was."""

    outcome: Outcome = Field(description="`fitted`, or why there are no coefficients; a result too.")
    n_sessions: int = Field(description="Inputs read (count).")
    n_sessions_with_trials: int = Field(description="Inputs with a table of foraging trials (count).")
    n_trials: int = Field(description="Trials in all inputs (count).")
    n_answered: int = Field(description="Trials in which a side was chosen (count).")
    n_ignored: int = Field(description="Trials without an answer (count).")
    n_auto_water: int = Field(description="Trials in which the task gave water with the cue, answered or not (count).")
    n_auto_water_answered: int = Field(
        description="Answered ones of them; no choice to explain, nothing earned (count)."
    )
    n_used: int = Field(description="Choices that the model explains: with enough history, without auto water (count).")
    right_share: float | None = Field(description="Answered trials in which right was chosen (fraction).")
    reward_rate: float | None = Field(
        description="Choices that earned a reward, of the answered trials without auto water (fraction)."
    )
    efficiency_without_baiting: float | None = Field(
        description="Earned rewards by those expected of always choosing the better side, without auto water (fraction)."
    )
    efficiency_with_baiting: float | None = Field(
        description="The same of the likelier side, where rewards wait until they are fetched (fraction)."
    )
    bias: float | None = Field(description="Pull to the right without any history (log odds).")
    bias_low: float | None = Field(description="Lower end of its confidence interval (log odds).")
    bias_high: float | None = Field(description="Upper end (log odds).")
    reward_coefficients: tuple[float, ...] | None = Field(description="For each reward, from lag 1 on (log odds).")
    reward_low: tuple[float, ...] | None = Field(description="Lower ends of their confidence intervals (log odds).")
    reward_high: tuple[float, ...] | None = Field(description="Upper ends (log odds).")
    choice_coefficients: tuple[float, ...] | None = Field(description="For each choice, from lag 1 on (log odds).")
    choice_low: tuple[float, ...] | None = Field(description="Lower ends of their confidence intervals (log odds).")
    choice_high: tuple[float, ...] | None = Field(description="Upper ends (log odds).")
    accuracy: float | None = Field(description="Choices that are predicted rightly, cross-validated (fraction).")
    baseline_accuracy: float | None = Field(description="The same by the more frequent side alone (fraction).")
    log_likelihood: float | None = Field(description="Mean of a choice, cross-validated (nats).")
    baseline_log_likelihood: float | None = Field(description="The same by the frequency of the sides alone (nats).")


class Coefficient(OutputsModel):
    """One row of ``coefficients.parquet``."""

    regressor: str = Field(description="`bias`, `reward` or `choice`: what the coefficient belongs to.")
    lag: int | None = Field(description="Answered trials back (count); null for the bias.")
    estimate: float = Field(description="Maximum likelihood estimate (log odds).")
    std_error: float = Field(description="Standard error (log odds).")
    ci_low: float = Field(description="Lower end of the confidence interval (log odds).")
    ci_high: float = Field(description="Upper end of the confidence interval (log odds).")
    p_value: float = Field(description="Of Wald's test that the coefficient is 0, two-sided (probability).")


@dataclass(frozen=True)
class _Session:
    """One input with foraging trials."""

    url: str
    subject: str | None
    trials: ForagingTrials


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Fit the model to the trials of all inputs, and write the table and the figure.

    Parameters
    ----------
    job : AnalysisJob
        One or several NWB files, of one subject.
    parameters : Parameters
        Lags, folds and bounds.
    results_dir : Path
        An empty folder for ``coefficients.parquet`` and ``foraging_choice_model.png``.

    Returns
    -------
    Outputs
        Counts, coefficients and measures; what the data do not determine is None.

    Raises
    ------
    InputError
        If an input is not an NWB file, its trials lack a column or hold a value that cannot be, or the inputs are of
        several subjects.
    """
    paths = job.open_inputs()
    read = [_read(path, url) for url, path in zip(job.files or job.locations, paths, strict=True)]
    sessions = [session for session in read if session is not None]
    _refuse_several_subjects(sessions)
    trials = [session.trials for session in sessions]
    design, is_right = history_design(trials, n_lags=parameters.n_lags)
    outcome, fit = _fit(trials, design, is_right, parameters)
    coefficients = [] if fit is None else _coefficients(fit, n_lags=parameters.n_lags)
    write_table(coefficients, Coefficient, results_dir / "coefficients.parquet")
    prediction = None if fit is None else cross_validate(design, is_right, n_folds=parameters.n_folds)
    outputs = Outputs(
        outcome=outcome,
        n_sessions=len(paths),
        n_sessions_with_trials=len(sessions),
        n_used=len(is_right),
        **behavior_of(trials),
        **_compact(coefficients),
        **_measures(prediction),
    )
    figure = draw_choice_model(trials, coefficients, title=_title(outputs, parameters))
    (results_dir / "foraging_choice_model.png").write_bytes(figure)
    return outputs


def _read(path: Path, url: str) -> _Session | None:
    """Read one input; None when it has no foraging trials."""
    with open_nwb(path) as nwb:
        columns = read_trials(nwb, required=REQUIRED, optional=OPTIONAL)
    if columns is None:
        return None
    try:
        trials = ForagingTrials.from_columns(columns)
    except TrialError as error:
        msg = f"the trials of `{url}` are not those of a foraging task: {error}. Repair the file and export it again."
        raise InputError(msg) from error
    return _Session(url, describe_session(path).subject_id, trials)


def _refuse_several_subjects(sessions: list[_Session]) -> None:
    """Refuse to fit one set of coefficients to several animals."""
    subjects = {session.subject: session.url for session in sessions if session.subject is not None}
    if len(subjects) > 1:
        named = ", ".join(f"{subject} (`{url}`)" for subject, url in sorted(subjects.items()))
        msg = f"one job fits one subject, and this one holds {named}. Group the jobs by subject."
        raise InputError(msg)


def _fit(
    trials: list[ForagingTrials], design: Any, is_right: Any, parameters: Parameters
) -> tuple[Outcome, LogisticFit | None]:
    """Fit the model, or say why not."""
    if not trials:
        return "no_trials", None
    if len(is_right) < max(parameters.min_trials, design.shape[1] + 1):
        return "too_few_trials", None
    fit = fit_logistic(design, is_right, confidence_level=parameters.confidence_level)
    return (fit, None) if isinstance(fit, str) else ("fitted", fit)


def _coefficients(fit: LogisticFit, *, n_lags: int) -> list[Coefficient]:
    """Name each coefficient, in the order of the regressors."""
    lags = range(1, n_lags + 1)
    names = [("bias", None), *(("reward", lag) for lag in lags), *(("choice", lag) for lag in lags)]
    columns = (fit.estimate, fit.std_error, fit.low, fit.high, fit.p_value)
    fields = ("estimate", "std_error", "ci_low", "ci_high", "p_value")
    return [
        Coefficient.model_validate({"regressor": name, "lag": lag} | dict(zip(fields, map(float, row), strict=True)))
        for (name, lag), row in zip(names, zip(*columns, strict=True), strict=True)
    ]


def _compact(coefficients: list[Coefficient]) -> dict[str, Any]:
    """Return the coefficients by the names of the outputs; None for each when there was no fit."""

    def values(regressor: str, field: str) -> tuple[float, ...] | None:
        return tuple(getattr(c, field) for c in coefficients if c.regressor == regressor) or None

    fields = {"low": "ci_low", "high": "ci_high"}
    lists = {f"{name}_{end}": values(name, field) for name in ("reward", "choice") for end, field in fields.items()}
    means = {f"{name}_coefficients": values(name, "estimate") for name in ("reward", "choice")}
    bias = {"bias": "estimate"} | {f"bias_{end}": field for end, field in fields.items()}
    single = {name: values("bias", field) for name, field in bias.items()}
    return lists | means | {name: found[0] if found else None for name, found in single.items()}


def _measures(prediction: Prediction | None) -> dict[str, float | None]:
    """Return how well choices are predicted, by the names of the outputs."""
    names = ("accuracy", "baseline_accuracy", "log_likelihood", "baseline_log_likelihood")
    return {name: getattr(prediction, name, None) for name in names}


def _title(outputs: Outputs, parameters: Parameters) -> str:
    """Say in one line what the figure shows, or why it shows nothing."""
    labels = f"{parameters.analysis_name}, {parameters.analysis_tag}"
    if outputs.outcome != "fitted":
        left_out = (
            f", {outputs.n_auto_water_answered} with auto water left out" if outputs.n_auto_water_answered else ""
        )
        return f"{_WHY_NOT[outputs.outcome]}  ·  {outputs.n_used} trials to explain{left_out}\n{labels}"
    known = outputs.accuracy is not None and outputs.baseline_accuracy is not None
    measured = (
        f"accuracy {outputs.accuracy:.3f}, by the more frequent side {outputs.baseline_accuracy:.3f}"
        if known
        else "accuracy unknown"
    )
    intervals = f"{100 * parameters.confidence_level:g} % intervals"
    return f"{outputs.n_used} trials  ·  {intervals}  ·  {measured}  ·  {labels}"


def history_tells_something(outputs: Outputs) -> bool | str:
    """Cross-validated, the fitted model gives choices a higher likelihood than the frequency of the sides alone."""
    model, baseline = outputs.log_likelihood, outputs.baseline_log_likelihood
    if model is None or baseline is None or model > baseline:  # without a fit the outcome says why
        return True
    return f"{model:.3f} nats for each choice, and {baseline:.3f} by the sides alone"


def auto_water_is_rare(outputs: Outputs) -> bool | str:
    """At most one trial in ten had auto water: with more, little of the session was foraging."""
    n_auto_water, n_trials = outputs.n_auto_water, outputs.n_trials
    if n_auto_water <= _MUCH_AUTO_WATER * n_trials:
        return True
    return f"{n_auto_water} of {n_trials} trials had auto water; {outputs.n_used} choices are left to explain"


ANALYSIS = Analysis(
    name="foraging_choice_model",
    version="1.1.0",
    owners=("team:behavior",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    time_limit_s=1800,
    figure="foraging_choice_model.png",
    tables={"coefficients.parquet": Coefficient},
    tags={"modality": "behavior"},
    checks=(history_tells_something, auto_water_is_rare),
)
