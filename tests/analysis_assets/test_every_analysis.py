"""What every analysis promises, the new ones too: nobody has to write these tests."""

import io
import json
import re
import subprocess
import sys

import pytest
from PIL import Image

from domain.analysis.fields import describe_fields, fields_without_unit
from engine.discovery.analyses import analysis_files, find_analyses
from examples.behavior import make_behavior
from examples.sessions import write_session
from resources.settings import PROJECT_ROOT
from tests.unmeasured import unmeasured_environment

NAMES = list(analysis_files())
OWNER = re.compile(r"team:[\w\-]+|[^@\s]+@[^@\s]+\.[^@\s]+")
_LONGEST_MEANING = 400


@pytest.fixture(scope="module")
def entries():
    """Load every analysis."""
    return find_analyses()


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Write one short session that every analysis can read: with units, and with the trials of a foraging animal."""
    path = tmp_path_factory.mktemp("session") / "session.nwb"
    behavior = make_behavior(seed=3, n_trials=200)
    return write_session(path, seed=3, n_units=4, duration_s=60.0, behavior=behavior).path


@pytest.fixture(scope="module")
def tried(entries, session, tmp_path_factory):
    """Give a function that runs an analysis twice over that session, each in a process and folder of its own."""
    known = {}

    def run(name, number):
        folder = tmp_path_factory.mktemp(f"{name}{number}")
        entry = entries[name]
        words = ["-m", "tests.analysis_assets.tried", str(entry.path), str(session), str(folder / "job")]
        done = subprocess.run(
            [sys.executable, *words, json.dumps(entry.analysis.example)],
            cwd=PROJECT_ROOT,
            env={
                **unmeasured_environment(),
                "XDG_CACHE_HOME": str(folder / "job"),
                "MPLCONFIGDIR": str(folder / "job"),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return folder / "job" / "results", json.loads(done.stdout.splitlines()[-1])

    def both(name):
        if name not in known:
            known[name] = [run(name, number) for number in (1, 2)]
        return known[name]

    return both


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_says_whose_it_is_and_what_it_does(entries, name):
    entry = entries[name]
    assert entry.analysis.name == name
    assert all(OWNER.fullmatch(owner) for owner in entry.analysis.owners)
    assert len(entry.description.split()) >= 10, "the file's docstring says what the analysis asks and how it answers"


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_and_output_is_documented_with_its_unit(entries, name):
    analysis = entries[name].analysis
    for model in (analysis.parameters, analysis.outputs, *analysis.tables.values()):
        bare = [name for name in fields_without_unit(model) if not name.endswith("_id")]  # an id is no quantity
        assert bare == [], 'end the description with the unit: "(s)", "(count)", "(no unit)"'
        for fact in describe_fields(model):
            assert 0 < len(fact.meaning) <= _LONGEST_MEANING, fact.name


@pytest.mark.parametrize("name", NAMES)
def test_parameters_without_a_default_have_an_example(entries, name):
    analysis = entries[name].analysis
    assert analysis.parameters.model_validate(analysis.example)


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_the_same_answer_twice(tried, name):
    (_, first), (_, second) = tried(name)
    assert first["outputs"] == second["outputs"]
    assert first["files"] == second["files"]


@pytest.mark.parametrize("name", NAMES)
def test_it_writes_nowhere_but_into_its_own_folder(tried, name):
    for _, told in tried(name):
        assert told["outside"] == []


@pytest.mark.parametrize("name", NAMES)
def test_its_figure_opens(entries, tried, name):
    figure = entries[name].analysis.figure
    if figure is None:
        pytest.skip(f"{name} shows no figure")
    for results, _ in tried(name):
        with Image.open(io.BytesIO((results / figure).read_bytes())) as image:
            assert image.format == "PNG"
            assert min(image.size) >= 100
