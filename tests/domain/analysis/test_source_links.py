"""The page of a source: only where a repository's address tells it, and without anybody's password."""

import pytest

from domain.analysis.source_links import is_web_address, source_page
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


@pytest.mark.parametrize("url", ["https://git/lab/x", "ssh://git@host:22/lab/x.git", "git@github.com:lab/x.git"])
def test_an_address_on_a_server_can_be_opened_by_others(url):
    assert is_web_address(url)


@pytest.mark.parametrize("url", ["file:///home/ann/x", "/home/ann/x", "C:/x", "", "https://"])
def test_a_folder_of_this_machine_is_no_web_address(url):
    assert not is_web_address(url)
