"""The foraging choice model: numbers against known truth, real files, and odd ones."""

import math
import subprocess
import sys
from functools import partialmethod
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from statsmodels.discrete.discrete_model import Logit

from analysis_assets.foraging_choice_model import (
    ANALYSIS,
    Coefficient,
    Outputs,
    Parameters,
    history_tells_something,
    run,
)
from analysis_assets.methods.foraging_efficiency import expected_with_baiting, expected_without_baiting
from analysis_assets.methods.foraging_trials import history_design
from analysis_assets.methods.logistic import fit_logistic
from domain.errors import InputError
from engine.discovery.source import sources_of
from examples.behavior import Animal, make_behavior
from examples.sessions import write_session
from tests.analysis_assets.foraging import TRIALS, analyse, changed, trials_of, truth_of, written
from tests.real_data import REAL_DATA, needs_real_data

REAL = REAL_DATA / "nwb"
DETERMINED = [
    name for name in Outputs.model_fields if name.startswith(("bias", "reward_c", "reward_l", "choice", "acc"))
]


@pytest.fixture(scope="module", params=["hdf5", "zarr"])
def session(request, tmp_path_factory):
    """Give a made-up session with units and 3000 trials, in each format."""
    path = tmp_path_factory.mktemp(request.param) / "session.nwb"
    return write_session(path, seed=5, n_units=1, backend=request.param, behavior=make_behavior(5, n_trials=3000))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Give the path of a session of 200 trials, to be copied and spoilt."""
    return written(tmp_path_factory.mktemp("small") / "small.nwb", make_behavior(1, n_trials=200))


@pytest.fixture
def spoilt(small, tmp_path):
    """Give a function that copies the small session and changes its trials with h5py."""

    def spoil(change):
        return changed(small, tmp_path / "spoilt.nwb", change)

    return spoil


def without(*columns):
    """Give a change that removes columns from a trials table."""

    def change(trials):
        trials.attrs["colnames"] = np.array([c for c in trials.attrs["colnames"] if c not in columns], dtype=object)
        for column in columns:
            del trials[column]

    return change


def filled(**columns):
    """Give a change that writes one value, or one for each trial, into columns."""

    def change(trials):
        for column, values in columns.items():
            trials[column][...] = values

    return change


def test_known_coefficients_are_recovered_to_within_0_3_and_lie_in_their_intervals(session, tmp_path):
    outputs, rows = analyse(tmp_path / "r", session.path, confidence_level=0.99)
    truth = truth_of(session.behavior.animal)
    assert outputs.outcome == "fitted"
    assert [row["estimate"] for row in rows] == pytest.approx(truth, abs=0.3)
    assert all(row["ci_low"] <= value <= row["ci_high"] for row, value in zip(rows, truth, strict=True))


def test_intervals_of_95_percent_cover_the_truth_in_93_to_97_percent():
    truth, covered = np.array(truth_of(Animal())), []
    for seed in range(120):
        fit = fit_logistic(*history_design([trials_of(make_behavior(seed))], n_lags=5), confidence_level=0.95)
        covered.append((fit.low <= truth) & (truth <= fit.high))
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.mean(covered, axis=0).min() >= 0.88  # each coefficient by itself, out of 120


def test_counts_and_shares_are_exactly_those_of_the_session(session, tmp_path):
    outputs, _ = analyse(tmp_path / "r", session.path)
    behavior = session.behavior
    answered = behavior.response != 2
    assert (outputs.n_trials, outputs.n_answered) == (3000, answered.sum())
    assert (outputs.n_ignored, outputs.n_used) == (3000 - answered.sum(), answered.sum() - 5)
    assert outputs.right_share == pytest.approx((behavior.response[answered] == 1).mean())
    assert outputs.reward_rate == pytest.approx(behavior.is_rewarded[answered].mean())
    offered = behavior.probabilities[answered]
    assert outputs.efficiency_without_baiting == pytest.approx(behavior.is_rewarded.sum() / offered.max(axis=1).sum())


def test_accuracy_is_that_of_the_true_model_to_within_0_02_and_above_its_baseline(session, tmp_path):
    outputs, _ = analyse(tmp_path / "r", session.path)
    design, is_right = history_design([trials_of(session.behavior)], n_lags=5)
    log_odds = design @ truth_of(session.behavior.animal)
    assert outputs.accuracy == pytest.approx(((log_odds > 0) == is_right).mean(), abs=0.02)
    assert outputs.log_likelihood == pytest.approx(
        -np.logaddexp(0, np.where(is_right, -1, 1) * log_odds).mean(), abs=0.02
    )
    assert outputs.baseline_accuracy < outputs.accuracy - 0.1
    assert outputs.baseline_log_likelihood < outputs.log_likelihood - 0.1


def test_a_forager_without_history_is_predicted_no_better_than_by_its_bias(tmp_path):
    animal = Animal(bias=1.0, reward_coefficients=(0.0,), choice_coefficients=(0.0,))
    outputs, _ = analyse(tmp_path / "r", written(tmp_path / "a.nwb", make_behavior(1, n_trials=3000, animal=animal)))
    assert outputs.bias == pytest.approx(1.0, abs=0.2)
    assert outputs.accuracy == pytest.approx(outputs.baseline_accuracy, abs=0.01)
    assert outputs.log_likelihood == pytest.approx(outputs.baseline_log_likelihood, abs=0.01)


def test_outputs_table_and_lags_say_the_same(session, tmp_path):
    outputs, rows = analyse(tmp_path / "r", session.path, n_lags=3)
    assert [(row["regressor"], row["lag"]) for row in rows] == [
        ("bias", None),
        *(("reward", lag) for lag in (1, 2, 3)),
        *(("choice", lag) for lag in (1, 2, 3)),
    ]
    assert [outputs.bias, *outputs.reward_coefficients, *outputs.choice_coefficients] == [r["estimate"] for r in rows]
    assert [outputs.bias_low, *outputs.reward_low, *outputs.choice_low] == [row["ci_low"] for row in rows]
    assert [outputs.bias_high, *outputs.reward_high, *outputs.choice_high] == [row["ci_high"] for row in rows]


def test_the_same_job_gives_the_same_bytes(session, tmp_path):
    first, _ = analyse(tmp_path / "a", session.path)
    again, _ = analyse(tmp_path / "b", session.path)
    assert first.model_dump_json() == again.model_dump_json()
    for name in ("coefficients.parquet", "foraging_choice_model.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_sessions_of_one_subject_are_fitted_together_without_a_lag_between_them(tmp_path):
    behaviors = [make_behavior(seed, n_trials=400, is_baited=True) for seed in (1, 2, 3)]
    paths = [
        written(tmp_path / f"{n}.nwb", b, session_name=f"behavior_700001_2024-05-0{n}_10-00-00")
        for n, b in enumerate(behaviors, 1)
    ]
    outputs, rows = analyse(tmp_path / "r", *paths)
    design, is_right = history_design([trials_of(b) for b in behaviors], n_lags=5)
    together = fit_logistic(design, is_right, confidence_level=0.95)
    assert [row["estimate"] for row in rows] == pytest.approx(together.estimate.tolist())
    assert (outputs.n_sessions, outputs.n_sessions_with_trials, outputs.n_trials) == (3, 3, 1200)
    assert outputs.n_used == outputs.n_answered - 3 * 5
    available = sum(expected_with_baiting(b.probabilities[b.response != 2]).sum() for b in behaviors)
    assert outputs.efficiency_with_baiting == pytest.approx(sum(b.is_rewarded.sum() for b in behaviors) / available)


def test_inputs_without_trials_in_a_group_are_counted_and_change_nothing(small, tmp_path):
    alone, _ = analyse(tmp_path / "a", small)
    empty = write_session(tmp_path / "empty.nwb", seed=1, n_units=1, duration_s=5.0).path
    both, _ = analyse(tmp_path / "b", small, empty)
    assert (both.n_sessions, both.n_sessions_with_trials) == (2, 1)
    assert both.model_copy(update={"n_sessions": 1}) == alone


def test_a_session_that_was_ignored_throughout_adds_its_trials_to_the_counts_only(small, tmp_path):
    alone, _ = analyse(tmp_path / "a", small)
    idle = written(tmp_path / "idle.nwb", make_behavior(1, n_trials=30, animal=Animal(ignored_share=1.0)))
    both, _ = analyse(tmp_path / "b", idle, small)
    assert (both.n_sessions_with_trials, both.n_trials, both.n_ignored) == (2, 230, alone.n_ignored + 30)
    counts = {name: getattr(alone, name) for name in ("n_sessions", "n_sessions_with_trials", "n_trials", "n_ignored")}
    assert both.model_copy(update=counts) == alone


def test_sessions_of_several_subjects_are_refused_with_their_names(small, tmp_path):
    other = written(tmp_path / "b.nwb", make_behavior(2), session_name="behavior_700002_2024-05-01_10-00-00")
    with pytest.raises(
        InputError, match=r"700001 \(`.*small\.nwb`\), 700002 \(`.*b\.nwb`\)\. Group the jobs by subject"
    ):
        analyse(tmp_path / "r", small, other)


def nothing_is_fitted(outputs, rows, folder):
    """Check that no number is made up, and that the figure and the table are there."""
    assert {getattr(outputs, name) for name in DETERMINED} == {None}
    assert (rows, outputs.log_likelihood, outputs.baseline_log_likelihood) == ([], None, None)
    assert pq.read_schema(folder / "coefficients.parquet").names == list(Coefficient.model_fields)
    assert (folder / ANALYSIS.figure).stat().st_size > 1000


def test_a_file_without_trials_is_an_outcome_of_its_own(tmp_path):
    outputs, rows = analyse(tmp_path / "r", write_session(tmp_path / "a.nwb", seed=1, n_units=1, duration_s=5.0).path)
    assert (outputs.outcome, outputs.n_sessions, outputs.n_sessions_with_trials) == ("no_trials", 1, 0)
    assert (outputs.n_trials, outputs.right_share, outputs.efficiency_without_baiting) == (0, None, None)
    nothing_is_fitted(outputs, rows, tmp_path / "r")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"animal_response": 2, "rewarded_historyL": False, "rewarded_historyR": False}, "too_few_trials"),
        ({"animal_response": 1}, "one_side_chosen"),
        ({"rewarded_historyL": False, "rewarded_historyR": False}, "dependent_regressors"),
        ({"rewarded_historyL": True, "rewarded_historyR": True}, "dependent_regressors"),
    ],
    ids=["all ignored", "always right", "never rewarded", "always rewarded"],
)
def test_trials_that_determine_no_coefficients_say_why(spoilt, tmp_path, change, outcome):
    outputs, rows = analyse(tmp_path / "r", spoilt(filled(**change)))
    assert (outputs.outcome, outputs.n_trials) == (outcome, 200)
    nothing_is_fitted(outputs, rows, tmp_path / "r")


def test_an_animal_that_always_returns_to_a_reward_is_separated(tmp_path):
    animal = Animal(0.0, reward_coefficients=(60.0,), choice_coefficients=(-30.0,), ignored_share=0.0)
    path = written(tmp_path / "a.nwb", make_behavior(1, n_trials=300, animal=animal))
    outputs, rows = analyse(tmp_path / "r", path, n_lags=1)
    assert (outputs.outcome, outputs.n_used) == ("separated", 299)
    assert outputs.reward_rate > 0
    nothing_is_fitted(outputs, rows, tmp_path / "r")


def one_iteration(model, fit, **words):
    """End the search of statsmodels before it has converged."""
    return fit(model, **{**words, "maxiter": 1})


def test_a_search_that_does_not_end_is_an_outcome(small, tmp_path, monkeypatch):
    monkeypatch.setattr(Logit, "fit", partialmethod(one_iteration, Logit.fit))
    outputs, rows = analyse(tmp_path / "r", small)
    assert outputs.outcome == "not_converged"
    nothing_is_fitted(outputs, rows, tmp_path / "r")


def test_one_trial_less_than_enough_is_too_few(small, tmp_path):
    enough, _ = analyse(tmp_path / "a", small)
    exactly, _ = analyse(tmp_path / "b", small, min_trials=enough.n_used)
    too_few, _ = analyse(tmp_path / "c", small, min_trials=enough.n_used + 1)
    assert (exactly.outcome, too_few.outcome) == ("fitted", "too_few_trials")
    assert too_few.n_used == enough.n_used


def test_where_a_fold_leaves_too_little_the_accuracy_is_unknown_and_the_rest_is_there(spoilt, tmp_path):
    def end_on_one_side(trials):
        trials["animal_response"][100:] = 1

    outputs, rows = analyse(tmp_path / "r", spoilt(end_on_one_side), n_folds=2)
    assert (outputs.outcome, len(rows)) == ("fitted", 11)
    assert outputs.accuracy is outputs.baseline_accuracy is outputs.log_likelihood is None


def test_trials_that_are_not_more_than_the_coefficients_are_too_few(spoilt, tmp_path):
    def ignore_the_rest(trials):
        trials["animal_response"][90:] = 2

    outputs, _ = analyse(tmp_path / "r", spoilt(ignore_the_rest), n_lags=30, min_trials=20)
    assert (outputs.outcome, 61 >= outputs.n_used > 20) == ("too_few_trials", True)


@pytest.mark.parametrize("columns", [["reward_probabilityL"], ["reward_probabilityL", "reward_probabilityR"]])
def test_without_reward_probabilities_only_efficiency_is_unknown(spoilt, small, tmp_path, columns):
    known, _ = analyse(tmp_path / "a", small)
    unknown, _ = analyse(tmp_path / "b", spoilt(without(*columns)))
    efficiencies = {"efficiency_without_baiting": None, "efficiency_with_baiting": None}
    assert known.efficiency_with_baiting < known.efficiency_without_baiting < 1.2
    assert unknown == known.model_copy(update=efficiencies)


def test_the_time_of_the_cue_and_further_columns_are_not_needed(spoilt, small, tmp_path):
    known, _ = analyse(tmp_path / "a", small)
    assert analyse(tmp_path / "b", spoilt(without("goCue_start_time")))[0] == known


@pytest.mark.parametrize("column", ["animal_response", "rewarded_historyL", "rewarded_historyR"])
def test_a_missing_column_is_refused_by_name(spoilt, tmp_path, column):
    with pytest.raises(InputError, match=rf"has no column `{column}`.*Export the file again"):
        analyse(tmp_path / "r", spoilt(without(column)))


@pytest.mark.parametrize(
    ("column", "value"), [("animal_response", np.nan), ("animal_response", 3), ("reward_probabilityL", 1.5)]
)
def test_a_value_that_cannot_be_is_refused_with_its_column_and_input(spoilt, tmp_path, column, value):
    with pytest.raises(InputError, match=rf"s3://bucket/spoilt\.nwb.*`{column}` holds {value:g} in .*export it again"):
        analyse(tmp_path / "r", spoilt(filled(**{column: value})))


def test_a_column_of_text_is_refused(spoilt, tmp_path):
    def change(trials):
        attributes = dict(trials["animal_response"].attrs)
        del trials["animal_response"]
        trials["animal_response"] = np.array(["left"] * 200, dtype=object)
        trials["animal_response"].attrs.update(attributes)

    with pytest.raises(InputError, match=r"holds text in column `animal_response`"):
        analyse(tmp_path / "r", spoilt(change))


def test_outputs_are_never_nan(session, small, tmp_path):
    for number, path in enumerate((session.path, small)):
        outputs, rows = analyse(tmp_path / str(number), path)
        values = [*outputs.model_dump().values(), *(value for row in rows for value in row.values())]
        numbers = [n for v in values for n in (v if isinstance(v, tuple) else (v,)) if isinstance(n, float)]
        assert numbers
        assert all(math.isfinite(number) for number in numbers)


def test_the_figure_is_small_enough_for_a_thumbnail(small, tmp_path):
    analyse(tmp_path / "r", small)
    assert 10_000 < (tmp_path / "r" / ANALYSIS.figure).stat().st_size < 75_000


def test_the_columns_of_the_table_say_what_they_hold(small, tmp_path):
    analyse(tmp_path / "r", small)
    schema = pq.read_schema(tmp_path / "r" / "coefficients.parquet")
    assert schema.field("estimate").metadata[b"description"].endswith(b"(log odds).")
    assert [str(schema.field(name).type) for name in ("regressor", "lag", "p_value")] == ["string", "int64", "double"]


@pytest.mark.parametrize("bad", [{"n_lags": 0}, {"n_folds": 1}, {"confidence_level": 1.0}, {"lags": 3}])
def test_parameters_out_of_bounds_are_refused(bad):
    with pytest.raises(ValidationError):
        Parameters(**bad)


def test_importing_the_analysis_loads_no_slow_library():
    code = "import sys, analysis_assets.foraging_choice_model; print(*sys.modules)"
    modules = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    slow = {"dagster", "pynwb", "zarr", "h5py", "pyarrow", "pandas", "matplotlib", "scipy", "statsmodels"}
    assert not modules & slow


def reweighted_least_squares(responses, left, right, *, n_lags):
    """Compute the coefficients in another way, from the columns of a file."""
    answered = responses != 2
    choice = np.where(responses[answered] == 1, 1, -1)
    reward = right[answered].astype(int) - left[answered].astype(int)
    rows = [
        [1, *(reward[i - j] for j in range(1, n_lags + 1)), *(choice[i - j] for j in range(1, n_lags + 1))]
        for i in range(n_lags, len(choice))
    ]
    design, is_right, beta = np.array(rows, dtype=float), choice[n_lags:] == 1, np.zeros(1 + 2 * n_lags)
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ beta))
        information = design.T @ (design * (p * (1 - p))[:, None])
        beta += np.linalg.solve(information, design.T @ (is_right - p))
    return beta, np.sqrt(np.diag(np.linalg.inv(information)))


@needs_real_data
@pytest.mark.parametrize("name", ["689514_2024-02-01_18-06-43", "703548_2024-03-01_08-51-32"])
def test_a_real_session_is_fitted_as_by_another_computation(tmp_path, name):
    path = REAL / f"{name}.nwb"
    with h5py.File(path) as file:
        columns = [file[f"{TRIALS}/{c}"][:] for c in ("animal_response", "rewarded_historyL", "rewarded_historyR")]
    outputs, rows = analyse(tmp_path / "r", path)
    beta, std_error = reweighted_least_squares(*columns, n_lags=5)
    assert [row["estimate"] for row in rows] == pytest.approx(beta.tolist(), abs=1e-6)
    assert [row["std_error"] for row in rows] == pytest.approx(std_error.tolist(), rel=1e-5)
    counts = [int((columns[0] == response).sum()) for response in (0, 1, 2)]
    assert (outputs.n_answered, outputs.n_ignored) == (counts[0] + counts[1], counts[2])
    assert outputs.right_share == counts[1] / (counts[0] + counts[1])
    assert outputs.reward_rate == (columns[1] | columns[2]).sum() / (counts[0] + counts[1])


@needs_real_data
def test_real_sessions_give_the_numbers_that_were_seen(tmp_path):
    found = {}
    for path in sorted(REAL.glob("[67]*.nwb")):
        o, _ = analyse(tmp_path / path.name, path)
        found[path.name[:6]] = (o.outcome, o.n_trials, o.n_answered, o.n_used, o.accuracy and round(o.accuracy, 3))
    assert found == {
        "689514": ("fitted", 432, 383, 378, 0.831),
        "703548": ("fitted", 555, 505, 500, 0.876),
        "705599": ("too_few_trials", 1, 0, 0, None),
        "717121": ("fitted", 571, 506, 501, None),  # long runs: without its last fifth the choices are separated
    }


@needs_real_data
def test_fewer_lags_determine_the_accuracy_of_the_real_zarr_session(tmp_path):
    outputs, _ = analyse(tmp_path / "r", REAL / "717121_2024-06-15_10-58-01.nwb", n_lags=3)
    assert outputs.accuracy == pytest.approx(0.962, abs=5e-4)


@needs_real_data
def test_efficiency_agrees_with_what_the_acquisition_software_stored(tmp_path):
    with h5py.File(REAL / "703548_2024-03-01_08-51-32.nwb") as file:  # a baited task
        trials = file[TRIALS]
        offered = np.column_stack([trials["reward_probabilityL"][:], trials["reward_probabilityR"][:]])
        rewards = (trials["rewarded_historyL"][:] | trials["rewarded_historyR"][:]).sum()
        stored = file["scratch/metadata/foraging_efficiency"][0]  # which counts ignored trials among the expected
        answered = trials["animal_response"][:] != 2
    assert rewards / expected_with_baiting(offered).sum() == pytest.approx(stored, abs=1e-6)
    outputs, _ = analyse(tmp_path / "r", REAL / "703548_2024-03-01_08-51-32.nwb")
    assert outputs.efficiency_with_baiting == pytest.approx(rewards / expected_with_baiting(offered[answered]).sum())
    assert outputs.efficiency_without_baiting == pytest.approx(
        rewards / expected_without_baiting(offered[answered]).sum()
    )


@needs_real_data
def test_real_recordings_of_other_tasks_have_no_trials(tmp_path):
    outputs, rows = analyse(tmp_path / "r", *sorted(REAL.glob("[dp]*.nwb")))
    assert (outputs.outcome, outputs.n_sessions, outputs.n_trials, rows) == ("no_trials", 2, 0, [])


def test_every_number_s_description_names_its_unit_last():
    for model in (Parameters, Outputs):
        for name, field in model.model_fields.items():
            if "str" not in str(field.annotation) and name != "outcome":
                groups = [part.partition(")")[0] for part in field.description.split("(")[1:]]
                assert groups[-1] in {"count", "fraction", "log odds", "nats"}, name


def test_everything_that_goes_in_and_comes_out_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "analyses.md").read_text().partition("## `foraging_choice_model`")[2]
    for model in (Parameters, Outputs, Coefficient):
        for name in model.model_fields:
            assert f"| `{name}` |" in page
    for name, field in Parameters.model_fields.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert f" {field.default} " in row.replace("`", " ")


def test_every_module_that_computes_a_number_is_part_of_the_code_s_identity():
    covered = set(sources_of(ANALYSIS, Path(sys.modules[run.__module__].__file__)))
    methods = ("choice_figure", "foraging_behavior", "foraging_efficiency", "foraging_trials", "logistic", "tables")
    assert covered >= {"foraging_choice_model", *(f"analysis_assets.methods.{name}" for name in methods)}
    assert not {name for name in covered if name.startswith(("domain", "resources", "engine"))}


@pytest.mark.parametrize(
    ("model", "baseline", "verdict"),
    [
        (-0.4, -0.6, True),
        (None, None, True),
        (-0.7, -0.6, "-0.700 nats for each choice, and -0.600 by the sides alone"),
    ],
)
def test_the_declared_check_compares_with_the_frequency_of_the_sides(model, baseline, verdict):
    outputs = Outputs.model_construct(log_likelihood=model, baseline_log_likelihood=baseline)
    assert history_tells_something(outputs) == verdict
