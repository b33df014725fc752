"""What tables of NWB files must have: each fault is one sentence that names the input and begins with the reason."""

from datetime import UTC, datetime

import h5py
import numpy as np
import pytest

from domain.errors import InputError
from examples.nwb_file import empty_file
from resources.nwb import kind_of_column, open_nwb, read_units
from resources.nwb_files.names import named_inputs
from resources.nwb_trials import read_trials
from tests.real_data import REAL_DATA, needs_real_data

URL = "s3://lab/asset/session.nwb"


def read(path):
    """Read all that the bundled analyses read, under the name that a job gives the file."""
    with named_inputs({path: URL}), open_nwb(path) as nwb:
        return list(read_units(nwb)), read_trials(nwb, required=("animal_response",))


def column(table, name, values, **attributes):
    """Return a change that gives a column other values."""

    def change(file):
        kept = dict(file[f"{table}/{name}"].attrs)
        made = values(file) if callable(values) else values
        del file[f"{table}/{name}"]
        file[f"{table}/{name}"] = made
        for key, value in (kept | attributes).items():
            file[f"{table}/{name}"].attrs[key] = value

    return change


def attribute(path, name, value):
    """Return a change of an attribute; None deletes it."""

    def change(file):
        del file[path].attrs[name]
        if value is not None:
            file[path].attrs[name] = value

    return change


def deletion(*paths):
    """Return a change that deletes groups or datasets."""

    def change(file):
        for path in paths:
            del file[path]

    return change


def renamed_type(path, name):
    """Return a change of the type of a table."""
    return attribute(path, "neurodata_type", name)


def text(*values):
    """Return values as text of variable length."""
    return np.array(values, dtype=h5py.string_dtype())


def without_times(file):
    """Remove the spike times."""
    deletion("units/spike_times", "units/spike_times_index")(file)
    names = [name for name in file["units"].attrs["colnames"] if name != "spike_times"]
    file["units"].attrs["colnames"] = np.array(names, dtype=object)


def damaged(file):
    """Damage a stored value, which its checksum reveals."""
    values = file["units/spike_times"][:]
    attributes = dict(file["units/spike_times"].attrs)
    del file["units/spike_times"]
    made = file["units"].create_dataset("spike_times", data=values, chunks=values.shape, fletcher32=True)
    made.attrs.update(attributes)
    raw = made.id.read_direct_chunk((0,))[1]
    made.id.write_direct_chunk((0,), bytes([raw[0] ^ 1]) + raw[1:])


def n_times(file):
    """Return the number of spikes."""
    return len(file["units/spike_times"])


FAULTS = {
    "no spike times": (without_times, "has a table `units` without the column `spike_times`: its 3 rows have no"),
    "no start": (deletion("session_start_time"), "cannot be read as NWB: it has no `session_start_time`"),
    "no identifier": (deletion("identifier"), "cannot be read as NWB: it has no `identifier`"),
    "no description": (deletion("session_description"), "cannot be read as NWB: it has no `session_description`"),
    "start is no time": (
        column("/", "session_start_time", text("yesterday")[0]),
        "cannot be read as NWB: its `session_start_time` is `yesterday`",
    ),
    "colnames is a text": (
        attribute("units", "colnames", "spike_times"),
        "has a table `units` whose attribute `colnames` is the text `spike_times`, and must be a list",
    ),
    "colnames of trials is a text": (
        attribute("intervals/trials", "colnames", "start_time"),
        "has a table `intervals/trials` whose attribute `colnames` is the text `start_time`",
    ),
    "no colnames": (attribute("units", "colnames", None), "has a table `units` without the attribute `colnames`"),
    "colnames twice": (
        attribute("units", "colnames", text("spike_times", "spike_times")),
        "`colnames` names `spike_times` more than once",
    ),
    "a column is missing": (deletion("units/isolation_distance"), "`colnames` names `isolation_distance`, and there"),
    "a column is left out": (
        attribute("units", "colnames", text("spike_times", "spike_amplitudes", "obs_intervals")),
        "has a table `units` with the column `isolation_distance`, which its attribute `colnames` leaves out",
    ),
    "a short column": (column("units", "isolation_distance", [1.0]), "`isolation_distance` has 1 entries for 3 rows"),
    "a short index": (
        column("units", "spike_times_index", lambda file: [1, n_times(file)]),
        "`spike_times_index` has 2 entries for 3 rows",
    ),
    "an index that falls": (
        column("units", "spike_times_index", lambda file: [5, 4, n_times(file)]),
        "`spike_times_index` falls from one row to the next",
    ),
    "an index that ends early": (
        column("units", "spike_times_index", [1, 2, 3]),
        "`spike_times_index` ends at 3, and `spike_times` has",
    ),
    "an index beyond the values": (
        column("units", "spike_times_index", [1, 2, 10**6]),
        "`spike_times_index` ends at 1000000, and `spike_times` has",
    ),
    "an index of fractions": (
        column("units", "spike_times_index", [1.0, 2.0, 3.0]),
        "`spike_times_index` holds values of type float64, and must hold whole numbers",
    ),
    "no index": (
        lambda file: (
            deletion("units/spike_times_index")(file),
            column("units", "spike_times", [1.0, 2.0, 3.0])(file),
            deletion("units/spike_amplitudes", "units/spike_amplitudes_index")(file),
            attribute("units", "colnames", text("spike_times", "obs_intervals", "isolation_distance"))(file),
        ),
        "has a table `units` without `spike_times_index`",
    ),
    "no ids": (deletion("units/id"), "has a table `units` without the column `id`"),
    "ids are text": (column("units", "id", text("a", "b", "c")), "`units` whose column `id` holds text"),
    "ids are fractions": (column("units", "id", [0.5, 1.0, 2.0]), "whose column `id` holds values of type float64"),
    "ids are lists": (column("units", "id", [[1, 2]] * 3), r"whose column `id` has the shape (3, 2)"),
    "ids are too large": (
        column("units", "id", np.array([1, 2**63, 2**64 - 1], dtype=np.uint64)),
        "has a table `units` whose id 9223372036854775808 in row 1 is beyond 2^63-1",
    ),
    "times are text": (
        column("units", "spike_times", lambda file: text(*["0.5"] * n_times(file))),
        "holds text in column `spike_times` of its table `units`, and must hold numbers",
    ),
    "times are short text": (
        column("units", "spike_times", lambda file: np.array([b"0.5"] * n_times(file))),
        "holds text in column `spike_times`",
    ),
    "times are complex": (
        column("units", "spike_times", lambda file: np.ones(n_times(file), dtype=complex)),
        "holds complex numbers in column `spike_times`",
    ),
    "times are yes or no": (
        column("units", "spike_times", lambda file: np.ones(n_times(file), dtype=bool)),
        "holds yes or no in column `spike_times`",
    ),
    "times are lists": (
        column("units", "spike_times", lambda file: np.ones((n_times(file), 2))),
        "in column `spike_times` of its table `units`, and must hold one number in each",
    ),
    "intervals of three": (
        column("units", "obs_intervals", np.ones((3, 3))),
        "holds values of shape (3, 3) in column `obs_intervals` of its table `units`, and must hold 2 numbers",
    ),
    "intervals are text": (
        column("units", "obs_intervals", text(*["0"] * 6).reshape(3, 2)),
        "in column `obs_intervals` of its table `units`, and must hold",
    ),
    "amplitudes are text": (
        column("units", "spike_amplitudes", lambda file: text(*["1"] * n_times(file))),
        "holds text in column `spike_amplitudes`",
    ),
    "units of no type": (renamed_type("units", None), "holds `/units`, which has no `neurodata_type`"),
    "units of another type": (
        renamed_type("units", "DynamicTable"),
        "incorrect type for 'units' (got 'DynamicTable', expected 'Units')",
    ),
    "units are an array": (
        lambda file: (deletion("units")(file), file.create_dataset("units", data=1)),
        "holds an array at `/units`, where a table is expected",
    ),
    "no start of trials": (
        lambda file: (
            deletion("intervals/trials/start_time")(file),
            attribute(
                "intervals/trials",
                "colnames",
                [name for name in file["intervals/trials"].attrs["colnames"] if name != "start_time"],
            )(file),
        ),
        "has a table `intervals/trials` without the column `start_time`: its 20 rows",
    ),
    "a short column of trials": (
        column("intervals/trials", "animal_response", [0, 1]),
        "has a table `intervals/trials` in which `animal_response` has 2 entries for 20 rows",
    ),
    "responses are text": (
        column("intervals/trials", "animal_response", text(*["0"] * 20)),
        "holds text in column `animal_response` of its trials table, and must hold one number for each of its 20 trials",
    ),
    "all trials start together": (
        column("intervals/trials", "start_time", np.full(20, 3.5)),
        "has 20 trials that all start at 3.5 s, so that their order is not known",
    ),
    "a damaged chunk": (damaged, "cannot be read in column `spike_times` of its table `units`: "),
}


@pytest.mark.parametrize(("change", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_sentence_that_names_the_input(changed, change, reason):
    path = changed(change)
    with pytest.raises(InputError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(f"`{URL}` ")
    assert reason in message
    assert error.value.location == URL
    assert "Builder" not in message
    assert "<" not in message, "a dump of an object"
    assert len(message) < 400
    assert str(path) not in message


def test_what_pynwb_says_is_cut(changed):
    path = changed(renamed_type("general/subject", "Nothing" + "x" * 500))
    with pytest.raises(
        InputError, match=r"cannot be read as NWB: pynwb stopped with ValueError: No spec.*x…\. "
    ) as error:
        read(path)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("name", ["units", "trials"])
def test_a_table_without_rows_needs_no_columns(changed, name):
    def empty(file):
        table = "units" if name == "units" else "intervals/trials"
        for column_name in list(file[table]):
            attributes = dict(file[f"{table}/{column_name}"].attrs)
            shape = (0, *file[f"{table}/{column_name}"].shape[1:])
            dtype = file[f"{table}/{column_name}"].dtype
            del file[f"{table}/{column_name}"]
            if column_name in {"id", "start_time", "stop_time", "animal_response"}:
                file[table].create_dataset(column_name, shape, dtype).attrs.update(attributes)
        file[table].attrs["colnames"] = text(*[n for n in file[table] if n != "id"])

    units, trials = read(changed(empty))
    assert (len(units), len(trials["animal_response"])) == ((0, 20) if name == "units" else (3, 0))


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.uint64])
def test_whole_numbers_of_any_size_are_ids(changed, dtype):
    units, _ = read(changed(column("units", "id", np.array([7, 8, 100], dtype=dtype))))
    assert [unit.unit_id for unit in units] == [7, 8, 100]


def test_the_largest_id_that_fits_is_kept(changed):
    units, _ = read(changed(column("units", "id", np.array([1, 2, 2**63 - 1], dtype=np.uint64))))
    assert units[2].unit_id == 2**63 - 1


def test_a_file_in_memory_is_read_without_looking_at_a_file():
    nwb = empty_file("ecephys_1_2024-05-01_10-00-00", subject_id="1", start=datetime(2024, 5, 1, tzinfo=UTC))
    nwb.add_unit(id=4, spike_times=[0.25, 0.5])
    (unit,) = read_units(nwb)
    assert (unit.unit_id, unit.spike_times_s.tolist(), unit.probe, unit.electrode_group) == (4, [0.25, 0.5], None, None)


def test_the_kind_of_a_column_is_known(changed):
    def change(file):
        column("units", "isolation_distance", text("good", "bad", "good"))(file)

    with open_nwb(changed(change)) as nwb:
        assert kind_of_column(nwb.units, "isolation_distance") == "text"
        assert kind_of_column(nwb.units, "spike_times") is None
        assert kind_of_column(nwb.units, "nothing") is None


@needs_real_data
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("c_no_spike_times", "has a table `units` without the column `spike_times`: its 2 rows have no values of it"),
        ("m_no_start", "cannot be read as NWB: it has no `session_start_time`"),
        ("n_colnames_scalar", "has a table `units` whose attribute `colnames` is the text `spike_times`"),
    ],
)
def test_real_files_with_a_fault_are_rejected(name, reason):
    with pytest.raises(InputError) as error:
        read(REAL_DATA / "faults" / f"{name}.nwb")
    assert str(error.value).startswith(f"`{URL}` {reason}")
    assert len(str(error.value)) < 300
