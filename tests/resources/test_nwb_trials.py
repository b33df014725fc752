"""Reading trials: columns of numbers in the order of time, and what is refused."""

from datetime import UTC, datetime

import h5py
import numpy as np
import pytest

from domain.errors import InputError
from examples.behavior import make_behavior
from examples.nwb_file import empty_file, write_file
from examples.sessions import write_session
from resources.nwb import open_nwb
from resources.nwb_trials import read_trials
from tests.real_data import REAL_DATA, needs_real_data

REAL = REAL_DATA / "nwb"
COLUMNS = ("animal_response", "rewarded_historyL")


def read(path, *, required=COLUMNS, optional=()):
    with open_nwb(path) as nwb:
        return read_trials(nwb, required=required, optional=optional)


@pytest.fixture
def table(tmp_path):
    """Give a function that writes a file with three trials and some columns."""

    def write(*, starts=(0.0, 1.0, 2.0), **columns):
        nwb = empty_file("behavior_1_2024-05-01_10-00-00", subject_id="1", start=datetime(2024, 5, 1, tzinfo=UTC))
        for start in starts:
            nwb.add_trial(start_time=start, stop_time=start + 1)
        for name, values in columns.items():
            index = {"index": True} if name == "ragged" else {}
            nwb.add_trial_column(name, "Made up.", data=values, **index)
        write_file(nwb, tmp_path / "a.nwb", backend="hdf5")
        return tmp_path / "a.nwb"

    return write


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_columns_are_read_whatever_the_format(tmp_path, backend):
    behavior = make_behavior(1, n_trials=30)
    path = write_session(tmp_path / "a.nwb", seed=1, n_units=0, behavior=behavior, backend=backend).path
    columns = read(path, optional=("reward_probabilityR", "not_there"))
    assert set(columns) == {*COLUMNS, "reward_probabilityR"}
    assert columns["animal_response"].tolist() == behavior.response.tolist()
    assert columns["rewarded_historyL"].tolist() == (behavior.is_rewarded & (behavior.response == 0)).tolist()
    assert {values.dtype for values in columns.values()} == {np.dtype(np.float64)}


def test_trials_come_in_the_order_of_time(table):
    path = table(starts=(5.0, 1.0, 3.0), number=[50, 10, 30])
    assert read(path, required=("number",))["number"].tolist() == [10.0, 30.0, 50.0]


def test_a_file_without_trials_or_with_those_of_another_task_has_none(table, tmp_path):
    assert read(write_session(tmp_path / "none.nwb", seed=1, n_units=0).path) is None
    assert read(table(stimulus=[1, 2, 3])) is None


def test_values_that_are_not_finite_are_kept(table):
    values = read(table(number=[1.0, np.nan, np.inf]), required=("number",))["number"]
    assert np.array_equal(values, [1.0, np.nan, np.inf], equal_nan=True)


def test_a_missing_column_is_named_with_those_that_are_needed(table):
    with pytest.raises(
        InputError, match=r"has no column `rewarded_historyL`; .*needs `animal_response`, `rewarded_hist"
    ):
        read(table(animal_response=[0, 1, 2]))


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ({"number": ["left", "right", "ignored"]}, "holds text"),
        ({"number": [[1, 2], [1, 2], [1, 2]]}, r"holds values of shape \(3, 2\)"),
        ({"ragged": [[1], [2], [3]]}, "holds lists of numbers"),
    ],
)
def test_a_column_that_is_not_one_number_for_each_trial_is_refused(table, column, found):
    with pytest.raises(InputError, match=rf"{found} in column .* must hold one number for each of its 3 trials"):
        read(table(**column), required=tuple(column))


def test_trials_whose_order_is_not_known_are_refused(table):
    path = table(number=[1, 2, 3])
    with h5py.File(path, "a") as file:
        file["intervals/trials/start_time"][1] = np.nan
    with pytest.raises(InputError, match="has no start_time of 1 of its 3 trials"):
        read(path, required=("number",))


@needs_real_data
def test_real_sessions_have_their_trials():
    counts = {path.name[:6]: len(read(path)["animal_response"]) for path in sorted(REAL.glob("[67]*.nwb"))}
    assert counts == {"689514": 432, "703548": 555, "705599": 1, "717121": 571}
    assert [read(path) for path in sorted(REAL.glob("[dp]*.nwb"))] == [None, None]
