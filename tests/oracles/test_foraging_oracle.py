"""Every number of ``foraging_choice_model`` on every real session, against the lab's packages and scikit-learn."""

import itertools

import pytest
from hdmf_zarr import NWBZarrIO
from pynwb import NWBHDF5IO

from analysis_assets.foraging_choice_model import Outputs, Parameters
from tests.analysis_assets.foraging import analyse
from tests.oracles.peers import computed_by_peer, needs_peers
from tests.real_data import REAL_DATA, needs_real_data

pytestmark = [needs_peers, needs_real_data]

ALL = sorted(path for folder in ("nwb", "nwb_auto_water") for path in (REAL_DATA / folder).glob("*.nwb"))
SUBJECTS = {subject: list(paths) for subject, paths in itertools.groupby(ALL, lambda path: path.name.split("_")[0])}
GROUPS = {name: paths for name, paths in SUBJECTS.items() if len(paths) > 1}

COEFFICIENT = 1e-6  # log odds: both searches end within this of the maximum
FRACTION = 1e-12


def compare(folder, *paths, **parameters):
    """Compare every output, and every number of the table."""
    outputs, rows = analyse(folder, *paths, **parameters)
    question = Parameters(**parameters).model_dump() | {"paths": paths}
    (peer,) = computed_by_peer("foraging_peer.py", [question])
    assert set(peer["outputs"]) == set(Outputs.model_fields)
    for name, expected in peer["outputs"].items():
        found = getattr(outputs, name)
        assert found == expected_of(name, expected), name
    for row, expected in itertools.zip_longest(rows, peer["table"]):
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=COEFFICIENT)
    return outputs


def expected_of(name, value):
    """Give what our number must equal, with the tolerance of its kind."""
    if isinstance(value, list):
        return pytest.approx(tuple(value), abs=COEFFICIENT)
    if isinstance(value, float):
        is_estimate = name.startswith("bias") or name.endswith("log_likelihood")
        return pytest.approx(value, abs=COEFFICIENT if is_estimate else FRACTION)
    return value


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_number_of_a_real_session_is_that_of_other_packages(tmp_path, path):
    compare(tmp_path / "default", path)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_other_parameters_agree_too(tmp_path, path):
    compare(tmp_path / "r", path, n_lags=2, n_folds=3, min_trials=20, confidence_level=0.8)


@pytest.mark.parametrize("paths", GROUPS.values(), ids=GROUPS)
def test_sessions_of_one_subject_agree_too(tmp_path, paths):
    assert compare(tmp_path / "r", *paths).outcome == "fitted"


@pytest.mark.parametrize("path", [p for p in ALL if p.is_file() and p.name[0].isdigit()], ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # what the format says of files that others wrote
def test_a_session_gives_the_same_numbers_as_zarr(tmp_path, path):
    copy = tmp_path / f"{path.stem}.nwb.zarr"
    with NWBHDF5IO(path, "r") as source, NWBZarrIO(str(copy), "w") as target:
        target.export(src_io=source, write_args={"link_data": False})
    assert analyse(tmp_path / "a", path) == analyse(tmp_path / "b", copy)
