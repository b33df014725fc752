"""The page of a source: only where a repository's address tells it, and without anybody's password."""

import pytest

from domain.analysis.source_links import source_page
from domain.result.provenance import CodeFacts

COMMIT = "0123456789abcdef" * 2 + "01234567"
GITHUB = f"https://github.com/lab/analyses/blob/{COMMIT}/analysis_assets/a%20b.py"


def page(url, *, commit=COMMIT):
    return source_page(CodeFacts(url=url, commit=commit, run_script="analysis_assets/a b.py", language_version="3"))


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/lab/analyses",
        "https://github.com/lab/analyses.git",
        "https://github.com/lab/analyses/",
        "https://user:secret@github.com/lab/analyses.git",
        "https://token@github.com/lab/analyses.git",
        "git@github.com:lab/analyses.git",
        "ssh://git@github.com/lab/analyses.git",
        "ssh://git@github.com:22/lab/analyses.git",
    ],
)
def test_every_way_to_write_a_repository_gives_its_page(url):
    assert page(url) == GITHUB


def test_gitlab_has_its_own_form():
    assert page("git@gitlab.lab.org:lab/analyses.git") == (
        f"https://gitlab.lab.org/lab/analyses/-/blob/{COMMIT}/analysis_assets/a%20b.py"
    )


@pytest.mark.parametrize(
    "url",
    [
        "file:///home/lab/analyses",
        "/home/lab/analyses",
        "https://localhost/lab",
        "javascript:alert(1)//github.com/x",
        "https://github.com/lab/a?token=secret",
        "git://github.com/lab/analyses",
        "",
    ],
)
def test_what_is_on_no_web_server_has_none(url):
    assert page(url) is None


def test_without_a_commit_there_is_none():
    assert page("https://github.com/lab/analyses", commit=None) is None
