"""Open NWB files: real and synthetic ones, and files of other formats."""

import logging
import shutil
from datetime import UTC, datetime

import h5py
import numpy as np
import pytest

from domain.errors import InputError
from examples.sessions import write_session
from resources.nwb import Session, describe_session, open_nwb, read_units
from tests.real_data import REAL_DATA, needs_real_data

REAL = REAL_DATA / "nwb"
DANDI = REAL / "dandi000207_sub-4_ses-4_ecephys+image.nwb"
PHY = REAL / "pynapple_phy_A8604-211122.nwb"
ZARR = REAL / "717121_2024-06-15_10-58-01.nwb"


@pytest.fixture(scope="module", params=["hdf5", "zarr"])
def made_up(request, tmp_path_factory):
    """Give one small session in each format, and its path."""
    path = tmp_path_factory.mktemp(request.param) / "session.nwb"  # the same name for both: the content decides
    return write_session(path, seed=1, n_units=3, duration_s=20.0, backend=request.param)


def header_file(path, **values):
    """Write an HDF5 file with the header of an NWB file and nothing else."""
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        for name, value in values.items():
            file[name.replace("__", "/")] = value
    return path


def test_a_file_is_opened_whatever_its_format(made_up):
    with open_nwb(made_up.path) as nwb:
        assert nwb.session_id == made_up.name
        assert len(nwb.units) == 3


def test_a_session_is_described_whatever_its_format(made_up):
    assert describe_session(made_up.path) == Session(
        subject_id="700001",
        session_name="ecephys_700001_2024-05-01_10-00-00",
        session_start=datetime(2024, 5, 1, 10, tzinfo=UTC),
    )


def test_units_come_with_all_that_is_stored_of_them(made_up):
    with open_nwb(made_up.path) as nwb:
        units = list(read_units(nwb))
    assert [unit.unit_id for unit in units] == [0, 1, 2]
    assert [len(unit.spike_times_s) for unit in units] == [truth.spike_count for truth in made_up.units]
    assert all(len(unit.spike_amplitudes) == len(unit.spike_times_s) for unit in units)
    assert all(unit.obs_intervals_s.tolist() == [[0.0, 20.0]] for unit in units)
    assert all(set(unit.metrics) == {"isolation_distance"} for unit in units)


def test_a_file_without_units_table_has_no_units(tmp_path):
    session = write_session(tmp_path / "empty.nwb", seed=1, n_units=0)
    with open_nwb(session.path) as nwb:
        assert list(read_units(nwb)) == []


def test_a_unit_with_more_amplitudes_than_spikes_is_refused(tmp_path):
    session = write_session(tmp_path / "uneven.nwb", seed=1, n_units=2, duration_s=5.0)
    with h5py.File(session.path, "a") as file:
        file["units/spike_times_index"][0] -= 1
    with (
        open_nwb(session.path) as nwb,
        pytest.raises(InputError, match=r"spike times and .* spike amplitudes of unit 0 \(row 0\)"),
    ):
        list(read_units(nwb))


def test_empty_header_fields_are_none_and_the_identifier_stands_in(tmp_path):
    path = header_file(tmp_path / "a.nwb", general__subject__subject_id="", general__session_id=" ", identifier="A1")
    assert describe_session(path) == Session(subject_id=None, session_name="A1", session_start=None)


def test_a_header_with_nothing_in_it_is_not_an_error(tmp_path):
    assert describe_session(header_file(tmp_path / "a.nwb")) == Session()


def test_a_header_with_odd_types_is_not_an_error(tmp_path):
    path = header_file(
        tmp_path / "a.nwb",
        general__subject__subject_id=np.array([7]),  # a number, in an array of one
        general__session_id=np.array([b"a", b"b"]),  # two values
        identifier__group=b"x",  # a group
        session_start_time="yesterday",
    )
    assert describe_session(path) == Session(subject_id="7")


def test_a_start_without_time_zone_is_not_a_time(tmp_path):
    path = header_file(tmp_path / "a.nwb", session_start_time="2024-05-01T10:00:00")
    assert describe_session(path).session_start is None


reading = pytest.mark.parametrize(
    "read", [describe_session, lambda path: open_nwb(path).__enter__()], ids=["describe", "open"]
)


@reading
def test_a_path_that_does_not_exist_is_refused(read, tmp_path):
    with pytest.raises(InputError, match=r"missing\.nwb` does not exist"):
        read(tmp_path / "missing.nwb")


@reading
def test_a_text_file_is_refused(read, tmp_path):
    (tmp_path / "text.nwb").write_text("hello")
    with pytest.raises(InputError, match=r"text\.nwb` is not an NWB file: it holds 5 bytes"):
        read(tmp_path / "text.nwb")


@reading
def test_a_directory_that_is_not_a_zarr_store_is_refused(read, tmp_path):
    with pytest.raises(InputError, match=r"is a directory but no Zarr store"):
        read(tmp_path)


@reading
def test_an_hdf5_file_of_another_kind_is_refused(read, tmp_path):
    h5py.File(tmp_path / "other.nwb", "w").close()
    with pytest.raises(InputError, match=r"other\.nwb` is hdf5 but no NWB file"):
        read(tmp_path / "other.nwb")


@reading
def test_a_zarr_store_of_another_kind_is_refused(read, tmp_path):
    (tmp_path / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(InputError, match="is zarr but no NWB file"):
        read(tmp_path)


@reading
@pytest.mark.parametrize("content", ['{"zarr_format": 99}', "{", "{}"])
def test_a_zarr_store_with_malformed_metadata_is_refused(read, tmp_path, content):
    (tmp_path / ".zgroup").write_text(content)
    with pytest.raises(InputError, match="cannot be opened as zarr"):
        read(tmp_path)


@reading
def test_a_truncated_hdf5_file_is_refused(read, tmp_path):
    session = write_session(tmp_path / "whole.nwb", seed=1, n_units=1, duration_s=5.0)
    content = session.path.read_bytes()
    (tmp_path / "half.nwb").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"half\.nwb` cannot be opened as hdf5: .*truncated"):
        read(tmp_path / "half.nwb")


def test_a_header_without_a_file_behind_it_cannot_be_read(tmp_path):
    path = header_file(tmp_path / "a.nwb")
    with pytest.raises(InputError, match=r"a\.nwb` cannot be read as NWB"), open_nwb(path):
        pass


@needs_real_data
def test_a_session_of_the_year_1900_is_described():
    session = describe_session(DANDI)
    assert (session.subject_id, session.session_name) == ("4", "4")
    assert session.session_start.isoformat() == "1900-01-01T00:00:00-08:00"


@needs_real_data
def test_an_empty_subject_and_a_missing_session_id_are_described():
    session = describe_session(PHY)
    assert (session.subject_id, session.session_name) == (None, "A8604-211122")


@needs_real_data
def test_a_real_zarr_directory_named_like_a_file_is_opened():
    assert describe_session(ZARR).session_name == "behavior_717121_2024-06-15_10-00-51"
    with open_nwb(ZARR) as nwb:
        assert len(nwb.trials) == 571


@needs_real_data
def test_what_pynwb_warns_about_is_logged_and_nothing_else(caplog):
    with caplog.at_level(logging.INFO, logger="resources.nwb"), open_nwb(DANDI) as nwb:
        units = list(read_units(nwb))
    assert len(units) == 35
    assert sum(len(unit.spike_times_s) for unit in units) == 214_278
    assert any("OpticalSeries" in message for message in caplog.messages)


@needs_real_data
def test_every_real_file_is_opened_and_described():
    for path in sorted(REAL.iterdir()):
        with open_nwb(path) as nwb:
            assert nwb.identifier
        assert describe_session(path).session_start is not None


def test_a_zarr_store_that_lost_an_array_is_refused(tmp_path):
    session = write_session(tmp_path / "a.nwb.zarr", seed=1, n_units=0, backend="zarr")
    shutil.rmtree(session.path / "session_start_time")
    (session.path / ".zmetadata").unlink(missing_ok=True)
    with pytest.raises(InputError, match="cannot be read as NWB"), open_nwb(session.path):
        pass
