"""Any file name is shown as printable text, unique, and found again by it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import JobFileError
from resources.inbox.names import check_analysis, decoded_name, is_job_name, raw_name, shown_name, too_large


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"0/a b.json", "0/a b.json"),
        (b"\xff.json", "%FF.json"),
        (b"a\nb.json", "a%0Ab.json"),
        (b"100%.json", "100%25.json"),
        ("é.json".encode(), "é.json"),
        ("\u202egnp.json".encode(), "%E2%80%AEgnp.json"),
        ("é\n%.json".encode(), "é%0A%25.json"),
    ],
)
def test_names_are_shown_as_printable_text(raw, shown):
    assert shown_name(os.fsdecode(raw)) == shown
    assert os.fsencode(raw_name(shown)) == raw


@given(st.binary(max_size=30))
def test_every_name_is_printable_and_found_again(raw):
    shown = shown_name(os.fsdecode(raw))
    assert shown.isprintable()
    shown.encode()
    assert os.fsencode(decoded_name(shown)) == raw


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "/a.json",
        "../a.json",
        "a/../../b.json",
        "a//b.json",
        "./a.json",
        "%2e%2e/a.json",
        "a%00.json",
        "%2Fa.json",
    ],
)
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(JobFileError, match="Not the name of an inbox file"):
        raw_name(name)


def test_job_files_are_recognized_by_their_ending():
    assert [is_job_name(name) for name in ("a.json", "A.JSON", "json", "a.json.part", ".json")] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_only_names_of_analyses_become_folders():
    assert check_analysis("mean_rate") == "mean_rate"
    for name in ("", "..", "a/b", "A", "a\n", "x" * 64):
        with pytest.raises(JobFileError, match="Not the name of an analysis"):
            check_analysis(name)


def test_a_megabyte_is_allowed_and_not_more():
    assert too_large(1024 * 1024) is None
    assert "larger than 1 MiB" in too_large(1024 * 1024 + 1)
