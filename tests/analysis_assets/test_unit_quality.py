"""The unit quality analysis: numbers against known truth, real files, and odd ones."""

import json
import math
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from analysis_assets.unit_quality import ANALYSIS, Outputs, Parameters, Unit, enough_units_pass, run
from domain.analysis import AnalysisJob
from domain.analysis.checks import verdicts
from domain.errors import InputError
from engine.discovery.source import sources_of
from examples.sessions import write_session
from tests.real_data import REAL_DATA, needs_real_data


def analyse(folder, *paths, **parameters):
    """Run the analysis on local files; give its outputs and its table."""
    folder.mkdir(exist_ok=True)
    job = AnalysisJob(tuple(f"s3://bucket/{path.name}" for path in paths), (), lambda: tuple(paths))
    outputs = run(job, Parameters(**parameters), folder)
    return outputs, pq.read_table(folder / "units.parquet").to_pylist()


@pytest.fixture(scope="module", params=["hdf5", "zarr"])
def session(request, tmp_path_factory):
    """Give a made-up session of ten minutes and two units of each kind, in each format."""
    path = tmp_path_factory.mktemp(request.param) / "session.nwb"
    return write_session(path, seed=5, n_units=16, backend=request.param)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Give the path of a session of one minute with two units, to be copied and spoilt."""
    return write_session(tmp_path_factory.mktemp("small") / "small.nwb", seed=1, n_units=2, duration_s=60.0).path


@pytest.fixture
def spoilt(small, tmp_path):
    """Give a function that copies the small session and changes it with h5py."""

    def spoil(change):
        path = tmp_path / "spoilt.nwb"
        path.write_bytes(small.read_bytes())
        with h5py.File(path, "a") as file:
            change(file["units"])
        return path

    return spoil


def without(*columns):
    """Give a change that removes columns from a units table."""

    def change(units):
        kept = [name for name in units.attrs["colnames"] if name not in columns]
        units.attrs["colnames"] = np.array(kept, dtype=object)
        for column in columns:
            del units[column]
            if f"{column}_index" in units:
                del units[f"{column}_index"]

    return change


def test_every_unit_is_counted_exactly(session, tmp_path):
    outputs, rows = analyse(tmp_path / "r", session.path)
    assert [row["spike_count"] for row in rows] == [unit.spike_count for unit in session.units]
    assert outputs.n_spikes == sum(unit.spike_count for unit in session.units)
    assert (outputs.outcome, outputs.n_sessions, outputs.n_units) == ("units", 1, 16)


def test_rates_and_presence_are_those_of_the_observed_time(session, tmp_path):
    _, rows = analyse(tmp_path / "r", session.path)
    for row, unit in zip(rows, session.units, strict=True):
        assert row["observed_s"] == 600.0
        assert row["firing_rate_hz"] == pytest.approx(unit.spike_count / 600.0)
        if unit.kind != "hardly fires":
            assert row["presence_ratio"] == unit.active_share


def test_contamination_is_recovered_to_within_0_05(session, tmp_path):
    _, rows = analyse(tmp_path / "r", session.path)
    for row, unit in zip(rows, session.units, strict=True):
        assert row["contamination_llobet"] == pytest.approx(unit.contamination, abs=0.05)


@pytest.mark.parametrize(
    ("method", "refused"),
    [
        ("hill", {"contaminated": "contamination_hill"}),
        ("llobet", {"contaminated": "contamination_llobet"}),
        ("amplitude_cutoff", {"contaminated": "contamination_hill", "loses small spikes": "amplitude_cutoff"}),
        ("isolation_distance", {"contaminated": "contamination_hill,isolation_distance"}),
    ],
)
def test_each_kind_of_bad_unit_fails_for_its_own_reason(session, tmp_path, method, refused):
    _, rows = analyse(tmp_path / "r", session.path, method=method)
    reasons = {"vanishes halfway": "presence_ratio", **refused}
    for row, unit in zip(rows, session.units, strict=True):
        if unit.kind == "hardly fires":
            assert "firing_rate_hz" in row["fails"]
        elif not (method == "isolation_distance" and unit.kind == "contaminated"):  # drawn by chance
            assert row["fails"] == reasons.get(unit.kind, "")
        assert row["passing"] == (not row["fails"])


def test_the_violation_fraction_is_a_share_of_all_intervals(session, tmp_path):
    outputs, rows = analyse(tmp_path / "r", session.path, method="violation_fraction", isi_violations_cutoff=0.005)
    for row in rows:
        assert row["isi_violation_fraction"] == row["isi_violation_count"] / (row["used_spike_count"] - 1)
        assert ("isi_violation_fraction" in row["fails"]) == (row["isi_violation_fraction"] > 0.005)
    assert outputs.n_passing == sum(row["passing"] for row in rows)


def test_the_same_job_writes_the_same_bytes(session, tmp_path):
    analyse(tmp_path / "a", session.path)
    analyse(tmp_path / "b", session.path)
    for name in ("units.parquet", "unit_quality.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_figure_is_small_enough_for_a_thumbnail(session, tmp_path):
    analyse(tmp_path / "r", session.path, method="amplitude_cutoff")
    assert 10_000 < (tmp_path / "r" / ANALYSIS.figure).stat().st_size < 100_000


def test_several_inputs_give_one_table_told_apart_by_session(session, tmp_path):
    other = write_session(
        tmp_path / "b.nwb", seed=6, session_name="ecephys_700002_2024-05-02_09-00-00", n_units=3, duration_s=60.0
    )
    outputs, rows = analyse(tmp_path / "r", session.path, other.path)
    assert (outputs.n_sessions, outputs.n_units) == (2, 19)
    assert [row["session"] for row in rows] == [session.name] * 16 + [other.name] * 3
    assert {row["input"] for row in rows} == {"s3://bucket/session.nwb", "s3://bucket/b.nwb"}
    assert rows[-1]["subject"] == "700002"


def test_files_are_named_by_the_job_s_files_where_it_has_them(small, tmp_path):
    job = AnalysisJob(("s3://bucket/asset",), ("s3://bucket/asset/a.nwb",), lambda: (small,))
    run(job, Parameters(), tmp_path)
    assert pq.read_table(tmp_path / "units.parquet")["input"].unique().to_pylist() == ["s3://bucket/asset/a.nwb"]


def test_a_file_without_units_table_is_an_outcome_of_its_own(tmp_path):
    behavior = write_session(tmp_path / "a.nwb", seed=1, n_units=0)
    outputs, rows = analyse(tmp_path / "r", behavior.path)
    assert outputs == Outputs(
        outcome="no_units",
        n_sessions=1,
        n_units=0,
        n_passing=0,
        n_spikes=0,
        passing_fraction=None,
        median_firing_rate_hz=None,
        median_contamination=None,
        median_presence_ratio=None,
        n_inputs_in_samples=0,
        n_units_with_unsound_times=0,
        n_units_with_unsound_intervals=0,
        n_units_not_distinct=0,
    )
    assert rows == []
    assert pq.read_schema(tmp_path / "r" / "units.parquet").names == list(Unit.model_fields)
    assert (tmp_path / "r" / "unit_quality.png").stat().st_size > 1000


def test_the_columns_of_the_table_say_what_they_hold(small, tmp_path):
    analyse(tmp_path / "r", small)
    schema = pq.read_schema(tmp_path / "r" / "units.parquet")
    assert schema.field("firing_rate_hz").metadata[b"description"].endswith(b"(Hz).")
    assert [str(schema.field(name).type) for name in ("session", "unit_id", "observed_s", "passing")] == [
        "string",
        "int64",
        "double",
        "bool",
    ]


def test_without_observation_intervals_time_is_the_span_of_all_spikes(spoilt, tmp_path):
    path = spoilt(without("obs_intervals"))
    with h5py.File(path) as file:
        times = file["units/spike_times"][:]
    _, rows = analyse(tmp_path / "r", path)
    assert {row["observed_s"] for row in rows} == {times.max() - times.min()}
    assert sum(row["used_spike_count"] for row in rows) == len(times)


def test_unsorted_and_duplicate_spikes_change_nothing_but_the_count(spoilt, small, tmp_path):
    def shuffle(units):
        stop = units["spike_times_index"][0]
        times = units["spike_times"][:stop]
        units["spike_times"][:stop] = np.random.default_rng(0).permutation(np.append(times[:-1], times[0]))

    _, (good, _) = analyse(tmp_path / "good", small)
    _, (bad, _) = analyse(tmp_path / "bad", spoilt(shuffle))
    assert bad["spike_count"] == good["spike_count"]
    assert bad["used_spike_count"] == good["used_spike_count"] - 1
    assert bad["isi_violation_count"] == good["isi_violation_count"] == 0


def test_units_with_no_spike_or_one_spike_fail_without_a_fault(spoilt, tmp_path):
    def empty(units):
        for column in ("spike_times", "spike_amplitudes"):
            attributes = dict(units[column].attrs)
            first = units[column][:1]
            del units[column]
            units[column] = first
            units[column].attrs.update(attributes)
            units[f"{column}_index"][...] = [0, 1]
            units[f"{column}_index"].attrs["target"] = units[column].ref

    outputs, (none, one) = analyse(tmp_path / "r", spoilt(empty))
    assert (none["spike_count"], one["spike_count"]) == (0, 1)
    assert none["contamination_hill"] is one["contamination_hill"] is None
    assert none["amplitude_median"] is None
    assert one["amplitude_cutoff"] is None
    assert (none["fails"], one["fails"]) == (
        "firing_rate_hz,contamination_hill,presence_ratio",
        "firing_rate_hz,contamination_hill",
    )
    assert (outputs.n_passing, outputs.median_contamination) == (0, None)


def test_a_table_without_spike_times_is_an_error(spoilt, tmp_path):
    path = spoilt(without("spike_times", "spike_amplitudes", "obs_intervals"))
    with pytest.raises(InputError, match="without the column `spike_times`"):
        analyse(tmp_path / "r", path)


def verdicts_of(outputs):
    """Return the checks that fail, with their reasons."""
    found = verdicts(ANALYSIS.checks, Outputs, outputs.model_dump())
    return {verdict.name: verdict.reason for verdict in found if not verdict.passed}


def test_a_sound_session_passes_every_check(session, tmp_path):
    outputs, rows = analyse(tmp_path / "r", session.path)
    assert verdicts_of(outputs) == {}
    assert {row["findings"] for row in rows} == {""}
    assert [row["row"] for row in rows] == list(range(16))


@pytest.mark.parametrize("rate_hz", [30_000, None], ids=["whole numbers", "impossible span"])
def test_sample_numbers_fail_a_check_that_says_so(spoilt, tmp_path, rate_hz):
    def change(units):
        times = units["spike_times"][:]
        units["spike_times"][...] = np.round(times * rate_hz) if rate_hz else times * 1e6
        units["obs_intervals"][...] = units["obs_intervals"][:] * (rate_hz or 1e6)

    outputs, _ = analyse(tmp_path / "r", spoilt(change))
    assert outputs.n_inputs_in_samples == 1
    reason = verdicts_of(outputs)["spike_times_are_in_seconds"]
    assert reason == "1 of 1 inputs have spike times that look like sample numbers"


@pytest.mark.parametrize(
    ("intervals", "finding", "observed_s"),
    [
        ([[0, 40], [np.nan, 60]], "intervals_not_finite", 40),
        ([[0, 40], [60, 50]], "intervals_reversed", 40),
        ([[0, 40], [30, 60]], "intervals_overlap", 60),
    ],
)
def test_doubtful_intervals_are_reported(spoilt, tmp_path, intervals, finding, observed_s):
    def change(units):
        attributes = dict(units["obs_intervals"].attrs)
        del units["obs_intervals"]
        units["obs_intervals"] = np.array([*intervals, [0, 60]], dtype=float)
        units["obs_intervals"].attrs.update(attributes)
        units["obs_intervals_index"].attrs["target"] = units["obs_intervals"].ref
        units["obs_intervals_index"][...] = [2, 3]

    outputs, rows = analyse(tmp_path / "r", spoilt(change))
    assert [row["findings"] for row in rows] == [finding, ""]
    assert rows[0]["observed_s"] == observed_s
    reason = "1 of 2 units have obs_intervals that are not finite, reversed or overlapping"
    assert verdicts_of(outputs) == {"observation_intervals_are_sound": reason}


def test_doubtful_spike_times_are_reported(spoilt, tmp_path):
    def change(units):
        stop = units["spike_times_index"][0]
        units["spike_times"][0] = np.nan
        units["spike_times"][stop : stop + 2] = units["spike_times"][stop : stop + 2][::-1]

    outputs, rows = analyse(tmp_path / "r", spoilt(change))
    assert [row["findings"] for row in rows] == ["times_not_finite", "times_unsorted"]
    reason = "2 of 2 units have spike times not finite or in order"
    assert verdicts_of(outputs) == {"spike_times_are_sound": reason}


def test_units_of_the_same_id_are_counted_unless_their_probes_differ(spoilt, tmp_path):
    def same(units):
        units["id"][...] = 7

    def on_two_probes(units):
        same(units)
        units["device_name"] = np.array(["A", "B"], dtype=h5py.string_dtype())
        for name in ("neurodata_type", "namespace", "description"):
            units["device_name"].attrs[name] = units["isolation_distance"].attrs[name]
        units["device_name"].attrs["object_id"] = "5a5c6a4e-3f0c-4a55-9d5f-0b7c7f1c9a10"
        units.attrs["colnames"] = np.append(units.attrs["colnames"], "device_name")

    outputs, rows = analyse(tmp_path / "r", spoilt(same))
    assert [(row["unit_id"], row["row"]) for row in rows] == [(7, 0), (7, 1)]
    reason = "2 of 2 units share probe, electrode group and id with another unit of their input"
    assert verdicts_of(outputs) == {"units_are_distinct": reason}
    outputs, rows = analyse(tmp_path / "r2", spoilt(on_two_probes))
    assert verdicts_of(outputs) == {}
    assert [row["probe"] for row in rows] == ["A", "B"]


def test_results_of_version_1_0_still_pass_their_checks():
    old = {"outcome": "units", "n_sessions": 1, "n_units": 2, "n_passing": 2, "n_spikes": 9, "passing_fraction": 1.0}
    old |= dict.fromkeys(("median_firing_rate_hz", "median_contamination", "median_presence_ratio"), 1.0)
    assert verdicts_of(Outputs(**old)) == {}


@needs_real_data
def test_two_real_probes_with_the_same_ids_are_distinct(tmp_path):
    outputs, rows = analyse(tmp_path / "r", REAL_DATA / "faults" / "e_two_probes_dup_ids.nwb")
    assert [(row["probe"], row["electrode_group"], row["unit_id"], row["row"]) for row in rows] == [
        ("AB"[i // 3], ("ProbeA", "ProbeB")[i // 3], i % 3, i) for i in range(6)
    ]
    assert outputs.n_units_not_distinct == 0


def test_a_column_of_text_that_a_method_needs_is_named_as_such(spoilt, tmp_path):
    def change(units):
        attributes = dict(units["isolation_distance"].attrs)
        del units["isolation_distance"]
        units["isolation_distance"] = np.array(["good", "bad"], dtype=h5py.string_dtype())
        units["isolation_distance"].attrs.update(attributes)

    with pytest.raises(InputError, match="its units table holds text in column isolation_distance"):
        analyse(tmp_path / "r", spoilt(change), method="isolation_distance")


def test_without_amplitudes_their_measures_are_unknown(spoilt, tmp_path):
    _, rows = analyse(tmp_path / "r", spoilt(without("spike_amplitudes")))
    assert {row["amplitude_median"] for row in rows} == {None}
    assert all(row["passing"] for row in rows)


@pytest.mark.parametrize(
    ("method", "column"), [("amplitude_cutoff", "spike_amplitudes"), ("isolation_distance", "isolation_distance")]
)
def test_a_method_whose_column_is_missing_is_refused_with_the_others_named(spoilt, tmp_path, method, column):
    path = spoilt(without(column))
    with pytest.raises(InputError, match=rf"`{method}` cannot judge .*spoilt\.nwb.* no column .*{column}.*`llobet`"):
        analyse(tmp_path / "r", path, method=method)


def test_a_stored_amplitude_cutoff_stands_in_for_missing_amplitudes(spoilt, tmp_path):
    def change(units):
        without("spike_amplitudes")(units)
        source = units["isolation_distance"]
        units.copy(source, "amplitude_cutoff")
        units["amplitude_cutoff"][...] = [0.02, np.nan]
        units.attrs["colnames"] = np.append(units.attrs["colnames"], "amplitude_cutoff")

    _, (good, unknown) = analyse(tmp_path / "r", spoilt(change), method="amplitude_cutoff")
    assert (good["amplitude_cutoff"], good["passing"]) == (0.02, True)
    assert (unknown["amplitude_cutoff"], unknown["fails"]) == (None, "amplitude_cutoff")


def test_outputs_are_never_nan(session, tmp_path):
    outputs, rows = analyse(tmp_path / "r", session.path)
    values = [*outputs.model_dump().values(), *(value for row in rows for value in row.values())]
    assert all(math.isfinite(value) for value in values if isinstance(value, float))


def test_a_censored_period_that_leaves_no_room_is_refused():
    with pytest.raises(ValidationError, match="must be shorter than refractory_period_ms"):
        Parameters(censored_period_ms=1.5)


def test_an_unknown_method_is_refused_with_the_known_ones_named():
    with pytest.raises(ValidationError, match="'hill', 'llobet', 'violation_fraction'"):
        Parameters(method="l_ratio")


def test_the_model_can_be_read_by_a_form():
    properties = Parameters.model_json_schema()["properties"]
    assert all(field["description"] and "default" in field for field in properties.values())


def test_importing_the_analysis_loads_no_slow_library():
    code = "import sys, analysis_assets.unit_quality; print(*sys.modules)"
    modules = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    assert not modules & {"dagster", "pynwb", "zarr", "h5py", "pyarrow", "pandas", "matplotlib", "aind_data_schema"}


@needs_real_data
def test_the_parameters_of_real_job_files_are_accepted():
    for path in sorted(REAL_DATA.glob("job_files/template_*.json")):
        job = json.loads(path.read_text())
        merged = Parameters(**(job["analysis_code"]["parameters"] | job["distributed_parameters"]))
        assert (merged.analysis_tag, merged.isi_violations_cutoff) == ("V1", 0.05)


@needs_real_data
def test_the_parameters_of_a_real_fixed_and_distributed_file_are_accepted():
    content = json.loads((REAL_DATA / "analysis_parameters" / "template_2026-03.json").read_text())
    methods = [Parameters(**(content["fixed_parameters"] | own)).method for own in content["distributed_parameters"]]
    assert methods == ["isolation_distance", "amplitude_cutoff"]


@needs_real_data
def test_a_real_human_recording_is_measured(tmp_path):
    outputs, rows = analyse(tmp_path / "r", REAL_DATA / "nwb" / "dandi000207_sub-4_ses-4_ecephys+image.nwb")
    assert (outputs.n_units, outputs.n_passing, outputs.n_spikes) == (35, 35, 214_278)
    assert outputs.median_firing_rate_hz == pytest.approx(1.3119164)
    assert outputs.median_contamination == 0.0
    assert rows[0]["observed_s"] == pytest.approx(2821.063904)
    assert (rows[0]["subject"], rows[0]["spike_count"]) == ("4", 19_750)


@needs_real_data
def test_a_real_mouse_recording_has_two_contaminated_units(tmp_path):
    outputs, rows = analyse(tmp_path / "r", REAL_DATA / "nwb" / "pynapple_phy_A8604-211122.nwb")
    assert (outputs.n_units, outputs.n_passing, outputs.n_spikes) == (3, 1, 21_354)
    assert [row["unit_id"] for row in rows] == [6, 191, 206]
    assert [row["isi_violation_count"] for row in rows] == [0, 89, 11]
    assert [row["contamination_hill"] for row in rows] == pytest.approx([0.0, 1.0, 0.1466693], abs=1e-6)
    assert {row["subject"] for row in rows} == {None}


@needs_real_data
def test_real_behavior_sessions_have_no_units(tmp_path):
    paths = sorted((REAL_DATA / "nwb").glob("[67]*.nwb"))
    outputs, rows = analyse(tmp_path / "r", *paths)
    assert (outputs.outcome, outputs.n_sessions, outputs.n_units, rows) == ("no_units", 4, 0, [])


def test_everything_that_goes_in_and_comes_out_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "analyses.md").read_text()
    for model in (Parameters, Outputs, Unit):
        for name in model.model_fields:
            assert f"| `{name}` |" in page
    for name, field in Parameters.model_fields.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert f" {field.default} " in row.replace("`", " ")


def test_every_module_that_computes_a_number_is_part_of_the_code_s_identity():
    covered = set(sources_of(ANALYSIS, Path(sys.modules[run.__module__].__file__)))
    methods = {
        f"analysis_assets.methods.{name}" for name in ("criteria", "spike_amplitudes", "spike_trains", "unit_findings")
    }
    assert covered >= {"unit_quality", *methods}
    assert not {name for name in covered if name.startswith(("domain", "resources", "engine"))}


@pytest.mark.parametrize(
    ("fraction", "verdict"),
    [(None, True), (0.05, True), (0.01, "only 1 of 100 units pass"), (0.0, "only 1 of 100 units pass")],
)
def test_the_declared_check_doubts_a_session_of_which_hardly_any_unit_passes(fraction, verdict):
    outputs = Outputs.model_construct(passing_fraction=fraction, n_passing=1, n_units=100)
    assert enough_units_pass(outputs) == verdict
