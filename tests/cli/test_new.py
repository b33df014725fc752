"""A new analysis from the template: it passes every check as it is, and is found without anything else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.new.run import Folders, new_analysis
from cli.tools.reference import PAGE, main, refreshed
from domain.errors import AnalysisFileError
from engine.discovery.analyses import load_analysis
from resources.settings import PROJECT_ROOT
from tests.unmeasured import unmeasured


@pytest.fixture
def folders(tmp_path):
    """Give folders of a project that has no analysis yet."""
    made = Folders(tmp_path / "analysis_assets", tmp_path / "tests" / "analysis_assets", tmp_path / "analyses.md")
    made.analyses.mkdir()
    made.tests.mkdir(parents=True)
    made.page.write_text("# Analyses\n", encoding="utf-8")
    yield made
    sys.modules.pop("analysis_assets.spike_total", None)


@pytest.fixture
def project(tmp_path):
    """Copy the project, without what it has made, and add a new analysis to the copy by the command."""
    copy = tmp_path / "project"
    hidden = [p for p in PROJECT_ROOT.iterdir() if p.name.startswith(".") and p.name != ".env.example"]
    parts = [p for p in PROJECT_ROOT.iterdir() if p not in hidden and p.suffix != ".egg-info"]
    copy.mkdir()
    for part in parts:
        if part.is_dir():
            shutil.copytree(part, copy / part.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(part, copy)
    done = run(copy, "-c", "from cli.main import main; main()", "new", "spike_total")
    assert done.returncode == 0, done.stderr
    return copy


def run(folder, *words):
    """Run Python in a folder, and nothing of this one."""
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_three_files_are_written_and_named(folders):
    analysis, test, page = new_analysis("spike_total", folders=folders)
    assert analysis == folders.analyses / "spike_total.py"
    assert test == folders.tests / "test_spike_total.py"
    assert len(analysis.read_text().splitlines()) < 80
    assert 'name="spike_total"' in analysis.read_text()
    text = page.read_text()
    assert "## `spike_total`: How many spikes does each unit have? Replace this by what your analysis asks" in text
    assert "| `min_spikes` | whole number | count | `1` | ≥ 0 | Units with fewer spikes are left out. |" in text
    assert "| `n_spikes` | whole number | count | Their spikes. |" in text
    assert "| `some_unit_is_left` | At least one unit has enough spikes. |" in text


@pytest.mark.parametrize("name", ["Spikes", "1x", "a-b", "", "a/b", "../x", "a" * 64, "lambda", "x.py", "a\n"])
def test_a_name_that_cannot_be_used_is_refused(folders, name):
    with pytest.raises(AnalysisFileError, match="cannot be the name of an analysis"):
        new_analysis(name, folders=folders)
    assert list(folders.analyses.iterdir()) == []


@pytest.mark.parametrize(
    "taken", ["analysis_assets/methods", "analysis_assets/methods.py", "tests/analysis_assets/test_methods.py"]
)
def test_nothing_is_written_over(folders, tmp_path, taken):
    (tmp_path / taken).mkdir() if "." not in taken else (tmp_path / taken).touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(AnalysisFileError, match="is there already"):
        new_analysis("methods", folders=folders)
    assert sorted(tmp_path.rglob("*")) == before


def test_without_git_the_owner_is_a_placeholder(folders, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    (path, *_) = new_analysis("spike_total", folders=folders)
    assert 'owners=("team:yours",)' in path.read_text()


def test_an_address_that_git_knows_is_the_owner(folders, monkeypatch, tmp_path):
    (tmp_path / "gitconfig").write_text("[user]\n\temail = someone@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.chdir(tmp_path)
    (path, *_) = new_analysis("spike_total", folders=folders)
    assert 'owners=("someone@example.org",)' in path.read_text()


@pytest.mark.slow
def test_a_new_analysis_passes_every_check_and_is_found(project, monkeypatch):
    unmeasured(monkeypatch)
    bin_folder = Path(sys.executable).parent
    new = ["analysis_assets/spike_total.py", "tests/analysis_assets/test_spike_total.py"]
    for tool in (["ruff", "format", "--check", *new], ["ruff", "check", *new], ["interrogate", "-q", new[0]]):
        done = subprocess.run(
            [bin_folder / tool[0], *tool[1:]], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (tool, done.stdout, done.stderr)
    tests = [new[1], "tests/analysis_assets/test_every_analysis.py", "tests/test_docs.py"]
    done = run(project, "-m", "mypy", new[0])
    assert done.returncode == 0, done.stdout
    done = run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "spike or tables_of")
    assert done.returncode == 0, done.stdout
    described = run(project, "-c", "from cli.main import main; main()", "describe", "spike_total", "--json")
    assert json.loads(described.stdout)["file"] == str(project / new[0])


def test_the_page_keeps_what_people_wrote(folders):
    new_analysis("spike_total", folders=folders)
    edited = folders.page.read_text().replace("### Outputs", "My own words.\n\n### Outputs")
    folders.page.write_text(edited.replace("Units with fewer spikes", "Something else"), encoding="utf-8")
    entry = load_analysis(folders.analyses / "spike_total.py")
    after = refreshed(folders.page.read_text(), [entry])
    assert after == edited


def test_the_page_of_this_project_is_made_again_in_place(tmp_path, capsys):
    copy = tmp_path / "analyses.md"
    copy.write_text(PAGE.read_text().replace("| `n_units` |", "| `n_unit` |"), encoding="utf-8")
    main(copy)
    assert copy.read_text() == PAGE.read_text()
    main(copy)
    assert capsys.readouterr().out == "analyses.md: updated\nanalyses.md: unchanged\n"
