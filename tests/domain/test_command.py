"""The form of an analysis that is a command, and what makes it another one."""

import pytest
from pydantic import ValidationError

from domain.command import Command

FIT = Command(
    words=("Rscript", "scripts/fit.R", "--to={results}", "{code}/x {folder}"), files=("scripts/fit.R",), language="R"
)
CONTENT = {"scripts/fit.R": b"1 + 1\n"}


def test_words_become_paths_of_copies_and_folders():
    assert FIT.argv(code="/j/code", folder="/j", results="/j/results") == [
        "Rscript",
        "/j/code/scripts/fit.R",
        "--to=/j/results",
        "/j/code/x /j",
    ]


def test_words_variables_and_every_byte_tell_commands_apart_and_labels_do_not():
    first = FIT.identity(CONTENT)
    assert first == FIT.identity(dict(CONTENT))
    assert first == FIT.model_copy(update={"language": "S", "version_words": ("R", "--version")}).identity(CONTENT)
    others = {
        FIT.identity({"scripts/fit.R": b"1 + 1"}),
        FIT.model_copy(update={"words": ("Rscript", "scripts/fit.R")}).identity(CONTENT),
        FIT.model_copy(update={"environment": {"A": "1"}}).identity(CONTENT),
    }
    assert len(others | {first}) == 4


def test_the_identity_of_a_command_never_changes_by_accident():
    assert FIT.identity(CONTENT) == "62318d93b3b56b088c42565dd33e6a6ec5fb59a4957eec4c47278279b5ab762b"


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ({"files": ("/etc/passwd",)}, "files names `/etc/passwd`"),
        ({"files": ("../fit.R",)}, r"files names `\.\./fit\.R`"),
        ({"files": ("a.R", "a.R")}, "files names a file twice"),
        ({"files": ()}, "at least 1 item"),
        ({"words": ()}, "at least 1 item"),
        ({"environment": {"A B": "1"}}, "should match pattern"),
        ({"pass_variables": ("A=B",)}, "should match pattern"),
    ],
)
def test_a_form_that_cannot_be_run_is_refused(change, reported):
    with pytest.raises(ValidationError, match=reported):
        Command(**{"words": ("sh", "a.sh"), "files": ("a.sh",), "language": "shell", **change})
