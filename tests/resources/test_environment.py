"""What is handed on to other processes."""

import os

from resources.environment import inherited, variable


def test_only_named_variables_are_inherited(monkeypatch):
    monkeypatch.setenv("WANTED", "1")
    monkeypatch.setenv("SECRET", "2")
    assert inherited(["WANTED", "NOT_THERE"]) == {"WANTED": "1"}


def test_a_variable_is_afterwards_what_it_was(monkeypatch):
    monkeypatch.setenv("KNOWN", "before")
    with variable("KNOWN", "now"), variable("NEW", "now"):
        assert (os.environ["KNOWN"], os.environ["NEW"]) == ("now", "now")
    assert os.environ["KNOWN"] == "before"
    assert "NEW" not in os.environ
