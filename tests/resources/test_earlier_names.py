"""Names of release 0.1 that people may still use: in notebooks, and in their ``dagster.yaml``."""

import importlib
import sys

import pytest

import results
from resources.dagster_storage import event_log, event_log_postgres


def test_results_are_imported_by_their_earlier_name_with_a_warning(monkeypatch):
    monkeypatch.delitem(sys.modules, "resources.results", raising=False)
    with pytest.warns(DeprecationWarning, match="from results import Results"):
        earlier = importlib.import_module("resources.results")
    assert earlier.Results is results.Results


@pytest.mark.parametrize(
    ("earlier", "cls"),
    [
        ("resources.event_log", event_log.SqliteEventLog),
        ("resources.event_log_postgres", event_log_postgres.PostgresEventLog),
    ],
)
def test_a_dagster_yaml_of_before_finds_its_event_log(earlier, cls):
    assert getattr(importlib.import_module(earlier), cls.__name__) is cls
