"""Every number of ``unit_quality`` on every real recording, and on synthetic ones, against SpikeInterface."""

import itertools

import pyarrow.parquet as pq
import pytest

from analysis_assets.unit_quality import Outputs, Parameters, Unit, run
from domain.analysis import AnalysisJob
from examples.sessions import write_session
from tests.oracles.peers import computed_by_peer, needs_peers
from tests.real_data import REAL_DATA, needs_real_data

pytestmark = needs_peers

NAMES = ("dandi000207_sub-4_ses-4_ecephys+image", "pynapple_phy_A8604-211122")
WITH_UNITS = [REAL_DATA / "nwb" / f"{name}.nwb" for name in NAMES]
WITHOUT_UNITS = sorted(path for folder in ("nwb", "nwb_auto_water") for path in (REAL_DATA / folder).glob("[67]*.nwb"))
TWO_PROBES = REAL_DATA / "faults" / "e_two_probes_dup_ids.nwb"  # units of both have the ids 0, 1 and 2
OTHER = {"refractory_period_ms": 3.0, "presence_bin_s": 7.0, "isi_violations_cutoff": 0.01}
METHODS = ("hill", "llobet", "violation_fraction")

REAL = {path.stem: ((path,), {}) for path in [*WITH_UNITS, TWO_PROBES]}
REAL |= {f"other parameters, {method}": (tuple(WITH_UNITS), OTHER | {"method": method}) for method in METHODS}
REAL |= {"no units": (tuple(WITHOUT_UNITS), {})}

# What a file is like, not what its neurons do: SpikeInterface has no such numbers, nwbinspector only says that there is something.
OF_THE_FILE = {
    "n_inputs_in_samples",
    "n_units_with_unsound_times",
    "n_units_with_unsound_intervals",
    "n_units_not_distinct",
}
LABELS = {"input", "row", "probe", "electrode_group", "findings"}

EXACT = 1e-9  # of the value: order of summation, and nanoseconds of the observed time
NANOSECOND = 1e-6  # of a refractory period of 1 ms or more: SpikeInterface gets one that is shorter by a nanosecond
CUTOFF = 0.04  # fraction of the spikes: see docs/analyses.md


def analysed(folder, paths, parameters):
    """Run the analysis; give its outputs and its rows, and the question for the peer."""
    folder.mkdir()
    urls = tuple(f"s3://bucket/{path.name}" for path in paths)
    outputs = run(AnalysisJob(urls, (), lambda: tuple(paths)), Parameters(**parameters), folder)
    rows = pq.read_table(folder / "units.parquet").to_pylist()
    return outputs, rows, Parameters(**parameters).model_dump() | {"paths": paths}


def together(folder, cases):
    """Run all cases, and ask the peer once, because it needs a while to start."""
    found = {name: analysed(folder / name, *case) for name, case in cases.items()}
    peers = computed_by_peer("units_peer.py", [question for _, _, question in found.values()])
    return {name: (*found[name][:2], peer) for name, peer in zip(cases, peers, strict=True)}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Give our numbers and those of the peer for each real case."""
    return together(tmp_path_factory.mktemp("real"), REAL)


@pytest.fixture(scope="module", params=["hdf5", "zarr"])
def synthetic(request, tmp_path_factory):
    """Give the same for each method and a session with units of every kind, in each format."""
    folder = tmp_path_factory.mktemp(request.param)
    path = write_session(folder / "session.nwb", seed=3, backend=request.param).path
    methods = (*METHODS, "amplitude_cutoff", "isolation_distance")
    return together(folder, {method: ((path,), {"method": method}) for method in methods})


def compare(outputs, rows, peer):
    """Compare every output, and every column of every unit."""
    assert set(peer["outputs"]) == set(Outputs.model_fields) - OF_THE_FILE
    for name, expected in peer["outputs"].items():
        assert getattr(outputs, name) == expected_of(name, expected), name
    for row, expected in itertools.zip_longest(rows, peer["table"]):
        assert set(expected) == set(Unit.model_fields) - LABELS
        for name, value in expected.items():
            assert row[name] == expected_of(name, value), (row["unit_id"], name)


def expected_of(name, value):
    """Give what our number must equal, with the tolerance of its kind."""
    if not isinstance(value, float):
        return value
    if name == "amplitude_cutoff":
        return pytest.approx(value, abs=CUTOFF)
    if "contamination" in name:  # a root, which is steep where contamination is complete
        return pytest.approx(value, abs=NANOSECOND / max(1 - value, 1e-3))
    return pytest.approx(value, rel=EXACT, abs=1e-12)


@needs_real_data
@pytest.mark.parametrize("case", REAL)
def test_every_number_of_a_real_recording_is_that_of_spikeinterface(real, case):
    compare(*real[case])


@needs_real_data
def test_the_real_recordings_have_the_units_that_are_compared(real):
    counts = {case: outputs.n_units for case, (outputs, _, _) in real.items()}
    assert list(counts.values()) == [35, 3, 6, 38, 38, 38, 0]


def test_synthetic_units_of_every_kind_agree_for_every_method(synthetic):
    for outputs, rows, peer in synthetic.values():
        compare(outputs, rows, peer)
        assert 0 < outputs.n_passing < outputs.n_units
