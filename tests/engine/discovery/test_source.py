"""Which sources a code version covers, and which repository they come from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import AnalysisFileError
from engine.discovery.analyses import load_analysis
from engine.discovery.source import code_facts, lock_content, sources_of, version_of

LAB = Path(__file__).parents[2] / "lab"
ROOT = Path(__file__).parents[3]
GOLDEN = json.loads((ROOT / "tests" / "golden" / "code_versions.json").read_text())
"""Of release 0.1, before its modules moved, by analysis file; `foraging_choice_model` since it handles auto water."""


@pytest.fixture
def folder(tmp_path):
    """Give a folder of analyses."""
    made = tmp_path / "lab"
    made.mkdir()
    return made


@pytest.mark.parametrize("file", GOLDEN)
def test_a_layout_of_the_platform_is_no_part_of_a_code_version(file):
    assert load_analysis(ROOT / file).code_version == GOLDEN[file]


def write(folder, **texts):
    for name, text in texts.items():
        path = folder / f"{name.replace('__of__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "double.py"


def version(analysis, folder, **texts):
    return version_of(analysis, write(folder, **texts))


def test_what_is_imported_from_beside_the_file_counts_and_what_that_imports(analysis, folder):
    path = write(
        folder,
        double="import numpy\nfrom lab import helper\nfrom lab.methods.counts import count\n",
        helper="import lab.deeper\nfrom lab import double\n",
        deeper="from .last import x\n",
        last="x = 1\n",
        alone="",
        methods__of____init__="",
        methods__of__counts="from . import more\n",
        methods__of__more="",
    )
    assert set(sources_of(analysis, path)) == {
        "double",
        "lab.helper",
        "lab.deeper",
        "lab.last",
        "lab.methods",
        "lab.methods.counts",
        "lab.methods.more",
    }


def test_platform_code_does_not_count(analysis, folder):
    path = write(
        folder, double="import domain.analysis\nimport resources.nwb\nimport definitions\nimport json, numpy\n"
    )
    assert set(sources_of(analysis, path)) == {"double"}


def test_a_change_in_an_imported_file_is_a_new_version(analysis, folder):
    first = version(analysis, folder, double="from lab import helper\n", helper="X = 1\n")
    assert first.startswith("1+")
    assert version(analysis, folder, helper="X = 2\n") != first
    assert version(analysis, folder, helper="X = 1\n") == first


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\nX  =  (1)\n",
        '"""Docs."""\n\nX = 1\n',
        "X = 1\nANALYSIS = Analysis(workers=3)\n",
        "X = 1\n\n\n",
    ],
)
def test_formatting_and_the_form_are_no_part_of_the_version(analysis, folder, text):
    assert version(analysis, folder, double=text) == version(analysis, folder, double="X = 1\n")


def test_a_version_of_ones_own_is_the_declared_one_alone(analysis, folder):
    own = analysis.model_copy(update={"code_identity": "version", "version": "2.1"})
    assert version(own, folder, double="X = 1\n") == version(own, folder, double="X = 2\n") == "2.1"


def test_declared_helper_packages_count_whole(analysis, folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    package = tmp_path / "site" / "helper_of_tests"
    (package / "deep").mkdir(parents=True)
    for name in ("__init__.py", "one.py", "deep/two.py"):
        (package / name).write_text("X = 1\n", encoding="utf-8")
    (tmp_path / "site" / "module_of_tests.py").write_text("X = 1\n", encoding="utf-8")
    declared = analysis.model_copy(update={"packages": ("helper_of_tests", "module_of_tests")})
    path = write(folder, double="X = 1\n")
    assert set(sources_of(declared, path)) == {
        "double",
        "helper_of_tests:__init__",
        "helper_of_tests:one",
        "helper_of_tests:deep.two",
        "module_of_tests:module_of_tests",
    }
    before = version_of(declared, path)
    (package / "deep" / "two.py").write_text("X = 2\n", encoding="utf-8")
    assert version_of(declared, path) != before


def test_a_helper_that_cannot_be_parsed_is_refused(analysis, folder):
    with pytest.raises(AnalysisFileError, match="helper"):
        version(analysis, folder, double="from lab import helper\n", helper="x =\n")


def git(folder, *words):
    who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def repository(folder):
    """Give an analysis file in a git repository."""
    path = write(folder, double="X = 1\n")
    git(folder.parent, "init", "-q")
    (folder.parent / "requirements").mkdir()
    (folder.parent / "requirements" / "base.txt").write_text("numpy==1\n", encoding="utf-8")
    return path


def committed(path):
    git(path.parents[1], "add", ".")
    git(path.parents[1], "commit", "-q", "-m", "one")


def facts_of(analysis, path):
    """Give the facts, with the lock file that is there."""
    return code_facts(analysis, path, lock_content(path))


def test_a_clean_commit_is_named(analysis, repository):
    committed(repository)
    facts = facts_of(analysis, repository)
    assert len(facts.commit) == 40
    assert facts.dirty is False
    assert facts.run_script == "lab/double.py"
    assert facts.language_version == ".".join(map(str, sys.version_info[:3]))
    assert len(facts.lock_sha256) == 64
    assert facts.url == repository.parents[1].as_uri()


def test_uncommitted_changes_are_told(analysis, repository):
    committed(repository)
    repository.write_text("X = 2\n", encoding="utf-8")
    assert facts_of(analysis, repository).dirty is True


def test_a_repository_without_a_commit_has_none(analysis, repository):
    facts = facts_of(analysis, repository)
    assert (facts.commit, facts.dirty) == (None, True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host.org:8443/lab/repo.git", "https://host.org:8443/lab/repo.git"),
        ("https://ghp_secret@github.com/lab/repo", "https://github.com/lab/repo"),
        ("https://github.com/lab/repo", "https://github.com/lab/repo"),
        ("git@github.com:lab/repo.git", "git@github.com:lab/repo.git"),
    ],
)
def test_credentials_are_no_part_of_the_repositorys_address(analysis, repository, url, shown):
    git(repository.parents[1], "remote", "add", "origin", url)
    assert facts_of(analysis, repository).url == shown


def test_without_a_repository_nothing_is_said_about_commits(analysis, folder, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    facts = facts_of(analysis, write(folder, double="X = 1\n"))
    assert (facts.commit, facts.dirty, facts.lock_sha256) == (None, None, None)
    assert facts.run_script == "double.py"
    assert facts.url == folder.as_uri()


def test_without_git_nothing_is_said_about_commits(analysis, repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert facts_of(analysis, repository).commit is None
