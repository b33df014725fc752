"""Auto water in the foraging choice model: what counts, what is explained, and what real animals do."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from analysis_assets.foraging_choice_model import ANALYSIS, Outputs, auto_water_is_rare
from analysis_assets.methods.foraging_trials import ForagingTrials, history_design
from analysis_assets.methods.logistic import fit_logistic
from examples.behavior import make_behavior
from tests.analysis_assets.foraging import TRIALS, analyse, changed, truth_of, written
from tests.real_data import REAL_DATA, needs_real_data

AUTO_WATER = sorted((REAL_DATA / "nwb_auto_water").glob("*.nwb"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Give the path of a session of 200 trials."""
    return written(tmp_path_factory.mktemp("small") / "small.nwb", make_behavior(1, n_trials=200))


@pytest.fixture
def watered(small, tmp_path):
    """Give a function that copies the small session and adds auto water to every n-th trial."""

    def water(every):
        return changed(small, tmp_path / f"{every}.nwb", lambda trials: add_auto_water(trials, every=every))

    return water


def add_auto_water(trials, *, every):
    """Give water at the right side in every n-th trial, in which nothing is earned."""
    is_given = np.arange(len(trials["animal_response"])) % every == 0
    attributes = trials["animal_response"].attrs
    for side in "LR":
        trials[f"rewarded_history{side}"][is_given] = False
        column = trials.create_dataset(f"auto_water{side}", data=(is_given * (side == "R")).astype(int))
        column.attrs.update({**attributes, "object_id": f"00000000-0000-4000-8000-00000000000{'LR'.index(side)}"})
    trials.attrs["colnames"] = np.array([*trials.attrs["colnames"], "auto_waterL", "auto_waterR"], dtype=object)


def test_auto_water_is_left_out_of_reward_rate_and_efficiency_and_reported(watered, tmp_path):
    path = watered(4)
    outputs, _ = analyse(tmp_path / "r", path)
    with h5py.File(path) as file:
        columns = {name: file[f"{TRIALS}/{name}"][:] for name in file[TRIALS].attrs["colnames"]}
    answered, given = columns["animal_response"] != 2, columns["auto_waterR"] == 1
    earned = (columns["rewarded_historyL"] | columns["rewarded_historyR"]).sum()
    offered = np.maximum(columns["reward_probabilityL"], columns["reward_probabilityR"])
    assert (outputs.n_auto_water, outputs.n_auto_water_answered) == (50, (given & answered).sum())
    assert outputs.reward_rate == earned / (answered & ~given).sum()
    assert outputs.efficiency_without_baiting == pytest.approx(earned / offered[answered & ~given].sum())
    assert outputs.n_used == outputs.n_answered - outputs.n_auto_water_answered - (~given & answered)[:5].sum()


def test_known_coefficients_are_recovered_where_auto_water_draws_the_choice(tmp_path):
    behavior = make_behavior(5, n_trials=6000)
    response, earned = behavior.response.copy(), behavior.is_rewarded.copy()
    given = np.random.default_rng(1).random(6000) < 0.3
    rng, animal, history = np.random.default_rng(2), behavior.animal, np.zeros((2, 5))
    weights = np.array([animal.reward_coefficients, animal.choice_coefficients])
    for trial in range(6000):  # the animal of `examples`, but for trials with water at the right, which draws it there
        p_right = 1 / (1 + np.exp(-animal.bias - (weights * history).sum() - 2.0 * given[trial]))
        side = response[trial] = int(rng.random() < p_right)
        earned[trial] = not given[trial] and rng.random() < behavior.probabilities[trial, side]
        received = earned[trial] or (given[trial] and side == 1)
        history = np.roll(history, 1, axis=1)
        history[:, 0] = (2 * side - 1) * received, 2 * side - 1
    columns = {
        "animal_response": response.astype(float),
        "rewarded_historyL": (earned & (response == 0)).astype(float),
        "rewarded_historyR": (earned & (response == 1)).astype(float),
        "auto_waterL": np.zeros(6000),
        "auto_waterR": given.astype(float),
    }
    fit = fit_logistic(*history_design([ForagingTrials.from_columns(columns)], n_lags=5), confidence_level=0.99)
    assert fit.estimate == pytest.approx(truth_of(animal), abs=0.2)


@needs_real_data
def test_auto_water_draws_the_choices_of_a_real_animal():
    sessions, water = [], []
    for path in AUTO_WATER:
        with h5py.File(path) as file:
            columns = {name: file[f"{TRIALS}/{name}"][:] for name in ("animal_response", "auto_waterL", "auto_waterR")}
            columns |= {name: file[f"{TRIALS}/{name}"][:] for name in ("rewarded_historyL", "rewarded_historyR")}
        session = ForagingTrials.from_columns({name: values.astype(float) for name, values in columns.items()})
        water.append(session.auto_water[5:] @ [-1.0, 1.0])
        sessions.append(replace(session, is_rewarded=session.has_water, auto_water=np.zeros_like(session.auto_water)))
    design, is_right = history_design(sessions, n_lags=5)
    fit = fit_logistic(np.column_stack([design, np.concatenate(water)]), is_right, confidence_level=0.99)
    assert fit.low[-1] > 0.5  # log odds: the reason why such a choice is not explained


@pytest.mark.parametrize(
    ("n_auto_water", "verdict"),
    [(0, True), (10, True), (11, "11 of 100 trials had auto water; 60 choices are left to explain")],
)
def test_the_declared_check_warns_of_much_auto_water(n_auto_water, verdict):
    assert auto_water_is_rare(Outputs.model_construct(n_auto_water=n_auto_water, n_trials=100, n_used=60)) == verdict


def test_the_figure_marks_auto_water_and_says_how_many_trials_are_left_out(watered, small, tmp_path):
    analyse(tmp_path / "a", small)
    analyse(tmp_path / "b", watered(4))
    outputs, _ = analyse(tmp_path / "c", watered(2))
    assert (outputs.outcome, outputs.n_used < 100) == ("too_few_trials", True)
    images = [(tmp_path / name / ANALYSIS.figure).read_bytes() for name in "abc"]
    assert len(set(images)) == 3
