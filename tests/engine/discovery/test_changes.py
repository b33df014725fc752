"""Why the code version of a result is not the current one."""

import subprocess

import pytest

from domain.result.provenance import CodeFacts
from engine.discovery.analyses import load_analysis
from engine.discovery.changes import why_changed
from engine.discovery.source import covered_files, earlier_version_of

FORM = '''"""Adds."""

from pathlib import Path

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel
from {folder} import _fit, helper


class Parameters(ParametersModel):
    """Nothing."""


class Outputs(OutputsModel):
    """The sum."""

    total: int = Field(description="The sum.")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Add."""
    return Outputs(total=1)


ANALYSIS = Analysis(
    name="adds", version="{version}", owners=("team:t",), parameters=Parameters, outputs=Outputs, run=run{more}
)
'''


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Give a function that writes an analysis and its helpers into a repository, and loads it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / f"lab_{tmp_path.name}"
    folder.mkdir()

    def load(*, version="1", more="", helper="", fit=""):
        (folder / "helper.py").write_text(helper)
        (folder / "_fit.py").write_text(fit)
        (folder / "adds.py").write_text(FORM.format(folder=folder.name, version=version, more=more))
        return load_analysis(folder / "adds.py")

    return load


def commit(folder, *words):
    who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def facts(commit, *, dirty=False):
    return CodeFacts(url="u", run_script="adds.py", language_version="3.11", commit=commit, dirty=dirty)


def test_equal_versions_have_no_reason(load):
    entry = load()
    assert why_changed(entry, entry.code_version) == ""


def test_a_declared_version_and_the_identity_are_named(load):
    first = load()
    assert why_changed(load(version="2"), first.code_version) == "The declared version has changed from 1 to 2."
    own = load(more=', code_identity="version"')
    assert why_changed(own, first.code_version) == 'code_identity has changed to "version".'
    assert why_changed(load(), "1") == 'code_identity has changed to "source".'


def test_what_a_newer_release_covers_is_named(load):
    entry = load(more=', working_folder="results"')
    earlier = earlier_version_of(entry.analysis, entry.path)
    name = entry.path.parent.name
    assert why_changed(entry, earlier) == (
        "Its code is the same; since release 0.2 the code version also covers `working_folder='results'`, module "
        f"`{name}._fit`."
    )


def test_files_that_have_changed_since_the_commit_are_named(load):
    before = load()
    root, name = before.path.parents[1], before.path.parent.name
    commit(root, "init", "-q")
    commit(root, "add", ".")
    commit(root, "commit", "-q", "-m", "one")
    known = commit(root, "rev-parse", "HEAD")
    after = load(helper="k = 2\n", fit="k = 3\n")
    said = f"Changed since commit {known[:12]}: `{name}/_fit.py`, `{name}/helper.py`."
    assert why_changed(after, before.code_version, facts(known)) == said
    for unknown in (None, facts(None), facts(known, dirty=True), facts("0" * 40)):
        assert why_changed(after, before.code_version, unknown) == "The digest of its sources has changed."


def test_a_file_that_is_being_edited_does_not_fail(load):
    entry = load(helper="import json\n")
    (entry.path.parent / "helper.py").write_text("x = (")
    assert why_changed(entry, "1+other") == "The digest of its sources has changed."


def test_all_covered_files_are_listed(load):
    entry = load()
    assert {path.name for path in covered_files(entry.analysis, entry.path)} == {"adds.py", "helper.py", "_fit.py"}
