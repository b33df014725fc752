"""The synthetic sessions are valid, have the truth that they state, and are the same each time."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from examples.sessions import (
    RECIPES,
    REFRACTORY_PERIOD_S,
    metadata_record,
    spike_train,
    write_demo_sessions,
    write_session,
)
from resources.nwb import describe_session, open_nwb, read_units


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Write the demo's sessions once."""
    return write_demo_sessions(tmp_path_factory.mktemp("demo"))


def test_own_spikes_keep_the_refractory_period_and_the_wanted_rate():
    times, is_foreign = spike_train(np.random.default_rng(0), rate_hz=15.0, duration_s=2000.0)
    assert not is_foreign.any()
    assert np.diff(times).min() >= REFRACTORY_PERIOD_S
    assert len(times) / 2000.0 == pytest.approx(15.0, rel=0.03)
    assert times[-1] > 1999.0


def test_foreign_spikes_are_the_wanted_fraction_and_in_order():
    times, is_foreign = spike_train(np.random.default_rng(0), rate_hz=15.0, duration_s=500.0, contamination=0.25)
    assert is_foreign.mean() == pytest.approx(0.25, abs=1e-3)
    assert (np.diff(times) >= 0).all()
    assert np.diff(times[~is_foreign]).min() >= REFRACTORY_PERIOD_S


def test_the_same_seed_gives_the_same_session_and_another_seed_another(tmp_path):
    first, again, other = (
        write_session(tmp_path / f"{name}.nwb", seed=seed, n_units=8, duration_s=60.0)
        for name, seed in zip("abc", (1, 1, 2), strict=True)
    )
    assert first.units == again.units != other.units
    trains = []
    for session in (first, again):
        with open_nwb(session.path) as nwb:
            trains.append([unit.spike_times_s.tolist() for unit in read_units(nwb)])
    assert trains[0] == trains[1]


def test_both_formats_hold_the_same_numbers(tmp_path):
    sessions = [
        write_session(tmp_path / f"{kind}.nwb", seed=3, n_units=2, duration_s=30.0, backend=kind)
        for kind in ("hdf5", "zarr")
    ]
    assert sessions[0].units == sessions[1].units
    assert (tmp_path / "hdf5.nwb").is_file()
    assert (tmp_path / "zarr.nwb").is_dir()
    assert describe_session(tmp_path / "hdf5.nwb") == describe_session(tmp_path / "zarr.nwb")


def test_what_is_written_is_what_is_stated(tmp_path):
    session = write_session(tmp_path / "a.nwb", seed=4, n_units=len(RECIPES), duration_s=300.0)
    with open_nwb(session.path) as nwb:
        units = list(read_units(nwb))
    for unit, truth, recipe in zip(units, session.units, RECIPES, strict=True):
        assert len(unit.spike_times_s) == len(unit.spike_amplitudes) == truth.spike_count
        assert truth.kind == recipe.kind
        assert truth.contamination == pytest.approx(recipe.contamination, abs=0.01)
        assert truth.missed_share == pytest.approx(recipe.missed_share, abs=0.01)
        assert unit.spike_times_s.max() <= 300.0 * truth.active_share


def test_a_unit_that_never_fires_is_written_too(tmp_path):
    session = write_session(tmp_path / "a.nwb", seed=0, n_units=len(RECIPES), duration_s=2.0)
    silent = session.units[-1]
    assert (silent.kind, silent.spike_count, silent.contamination, silent.missed_share) == ("hardly fires", 0, 0.0, 0.0)


def test_subject_and_start_are_read_from_the_name(tmp_path):
    session = write_session(tmp_path / "a.nwb", seed=0, session_name="behavior_12_2023-01-02_03-04-05", n_units=0)
    described = describe_session(session.path)
    assert described.subject_id == session.subject_id == "12"
    assert described.session_name == "behavior_12_2023-01-02_03-04-05"
    assert described.session_start == session.session_start == datetime(2023, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_name_of_another_form_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must look like"):
        write_session(tmp_path / "a.nwb", seed=0, session_name="tuesday")


def test_the_demo_has_each_kind_of_file(demo):
    assert [session.path.is_dir() for session in demo] == [False, False, False, True, False]
    assert [bool(session.units) for session in demo] == [True, True, True, True, False]
    assert len({session.subject_id for session in demo}) == 5
    for session in demo:
        assert session.path.parent.name == session.name
        assert describe_session(session.path).session_name == session.name


def test_a_demo_too_small_for_each_kind_of_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 3"):
        write_demo_sessions(tmp_path, n=2)


def test_a_record_says_where_its_asset_is_and_whose(demo):
    record = metadata_record(demo[0])
    assert record["location"] == f"s3://demo-data/{demo[0].name}"
    assert record["name"] == record["data_description"]["name"] == demo[0].name
    assert record["subject"]["subject_id"] == record["data_description"]["subject_id"] == "700001"
    assert len(record["other_identifiers"]["Code Ocean"][0]) == 36
    assert record["data_description"]["modalities"][0]["abbreviation"] == "ecephys"


def test_records_are_plain_json_the_same_each_time_and_all_different(demo):
    records = [metadata_record(session) for session in demo]
    assert json.loads(json.dumps(records)) == records == [metadata_record(session) for session in demo]
    assert len({record["_id"] for record in records}) == 5
    assert records[-1]["data_description"]["modalities"][0]["abbreviation"] == "behavior"
