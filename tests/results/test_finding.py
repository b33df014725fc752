"""Finding results from Python, over real servers."""

import json
import warnings
from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from domain.errors import ParametersError, UnknownJobError
from domain.result.records import to_record
from resources.connections import connect
from resources.result_store.catalog_tables import write_catalog
from results.results import Results
from tests.results.made_results import COUNT, CURRENT, OLD, key_of, made, names


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ({}, "7 6 5 4 3o 3 2 2o 1 1o 0 0o"),
        ({"state": "done"}, "7 6 5 4 3 2 1 0"),
        ({"state": "outdated"}, "3o 2o 1o 0o"),
        ({"state": "superseded"}, "9s 5s"),
        ({"state": ["done", "superseded"], "since": "2025-03-01T14:00"}, "9s 7 6 5 5s"),
        ({"newest": True}, "7 6 5 4 3o 2 1 0"),
        ({"newest": True, "state": "outdated"}, "3o 2o 1o 0o"),
        ({"newest": True, "code_version": "2.0.0"}, "7 6 5 4 3 2 1 0"),
        ({"code_version": OLD}, "3o 2o 1o 0o"),
        ({"code_version": "1.0.0"}, "3o 2o 1o 0o"),
        ({"code_version": "1"}, ""),
        ({"current_code_version": OLD, "state": "done"}, "3 2 1 0"),
        ({"subject": "700002"}, "7"),
        ({"subject": "700001", "state": "done"}, "7 5 3 1"),
        ({"session": "session 2", "newest": True}, "2"),
        ({"tag": "wide", "state": "done"}, "7 5 3 1"),
        ({"tag": "wide", "parameters": {"method": "llobet"}}, "7 5"),
        ({"parameters": {"cutoff": 0.6}}, "6"),
        ({"parameters": {"cutoff": 0, "method": "hill"}, "newest": True}, "0"),
        ({"parameters": {"cutoff": "0.6"}}, ""),
        ({"parameters": {"window": {"stop_s": 6}}}, "6"),
        ({"parameters": {"window": {"stop_s": 6.0, "start_s": 1}}}, ""),
        ({"parameters": {"lags": [1.0, 4]}}, "4"),
        ({"parameters": {"lags": [1]}}, ""),
        ({"parameters": {"note": "x" * 300}, "state": "done"}, "7 6 5 4 3 2 1 0"),
        ({"parameters": {"note": "y" * 300}}, ""),
        ({"group": {"subject.subject_id": "700001"}, "state": "done"}, "7 5 3 1"),
        ({"group": {"subject.subject_id": "700001", "n": 2.0}, "parameters": {"method": "llobet"}}, "7 5"),
        ({"group": {"n": True}}, ""),
        ({"group": {"other": None}}, ""),
        ({"since": "2025-03-01T16:30Z"}, "7"),
        ({"since": "2025-03-01T17:30+01:00"}, "7"),
        ({"since": datetime(2025, 3, 1, 15, 31, 0, 123456, tzinfo=UTC)}, "7 6"),
        ({"until": datetime(2025, 3, 1, 9, 31, 0, 123456)}, "0o"),  # noqa: DTZ001  without a zone it is UTC
        ({"since": datetime(2025, 3, 1, 11, 30, tzinfo=timezone(timedelta(hours=-5)))}, "7"),
        ({"since": "2025-03-01", "until": "2025-03-01", "state": "outdated"}, "3o 2o 1o 0o"),
        ({"since": date(2025, 3, 2)}, ""),
        ({"until": date(2025, 2, 28)}, ""),
    ],
)
def test_results_are_those_that_meet_all_conditions_newest_first(results, requested, expected):
    found = results.find("quality", **requested)
    assert names(found) == expected.split()
    assert len(found) == results.count("quality", **requested) == len(expected.split())


def test_newest_goes_by_inputs_and_parameters_and_nothing_else(results):
    """The earlier wrapper's `latest_only` kept a single record of all that were requested."""
    newest = results.find("quality", newest=True)
    everything = list(results.find("quality"))
    assert len(newest) == len({one.job_key for one in everything}) == COUNT
    for one in newest:
        assert one.ended == max(other.ended for other in everything if other.job_key == one.job_key)


@pytest.mark.parametrize(
    "requested",
    [
        {"subject": {"$ne": "x"}},
        {"session": "x" * 201},
        {"tag": 5, "subject": 5},
        {"code_version": ["$gt", ""]},
        {"parameters": {5: 5}},
        {"parameters": {"cutoff": float("nan")}},
        {"parameters": {"cutoff": object()}},
        {"group": {"a\0b": 1}},
        {"since": "yesterday"},
        {"until": 5},
        {"state": "finished"},
        {"state": []},
        {"state": "failed", "subject": "700001"},
    ],
)
def test_a_condition_that_cannot_be_used_is_refused(results, requested):
    with pytest.raises(ParametersError):
        results.find("quality", **requested)


@pytest.mark.parametrize(
    "value", [{"$ne": 1}, {"$gt": ""}, {"$exists": True}, [{"$gt": 0}], "$method", {"$where": "1"}]
)
def test_what_is_given_is_a_value_and_never_an_operator(results, value):
    assert len(results.find("quality", parameters={"cutoff": value})) == 0
    assert len(results.find("quality", group={"n": value})) == 0
    with pytest.warns(UserWarning, match="no parameter `\\$where`"):
        assert len(results.find("quality", parameters={"$where": value})) == 0
    for ask in (lambda: results.find(value), lambda: results.get("a" * 64, analysis=value), lambda: results.get(value)):
        with pytest.raises((ParametersError, UnknownJobError)):
            ask()


def test_a_misspelled_name_is_reported(results):
    with pytest.warns(UserWarning, match=r"has no parameter `methods`. There are: .*method"):
        assert not results.find("quality", parameters={"methods": "hill"})
    with pytest.raises(UnknownJobError, match=r"Nothing is known of an analysis `qualty`. There are: quality"):
        results.find("qualty")


def test_without_a_catalog_everything_counts_as_done_with_a_warning(results, records):
    records.commit(to_record(made(50, analysis="new", result_id="e" * 64)))
    with pytest.warns(UserWarning, match="current code of `new` is unknown"):
        (found,) = results.find("new")
    assert found.state == "done"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [one.state for one in results.find("new", current_code_version=OLD)] == ["outdated"]
    assert results.analyses() == ["new", "quality"]


def test_a_new_catalog_is_noticed(results, connections, records):
    files = connections.catalog_files
    records.commit(to_record(made(51, analysis="noticed", result_id="d" * 64)))
    for code, state in ((OLD, "outdated"), (CURRENT, "done")):
        facts = {b"analysis_assets": json.dumps({"code_version": code}).encode()}
        write_catalog(files, "noticed", pa.table({"a": [code]}).replace_schema_metadata(facts))
        assert [one.state for one in results.find("noticed")] == [state]


def test_results_that_cannot_be_searched_are_reported(settings):
    record = to_record(made(1, analysis="earlier"))
    del record["analysis_assets"]["search"], record["analysis_assets"]["search_time"]
    own = settings.model_copy(update={"docdb_collection": "earlier"})
    records = connect(own).record_store
    with Results(own) as results:
        records.commit(record)
        with pytest.warns(UserWarning, match="Not searched: 1 results of an earlier version"):
            assert len(results.find("earlier", current_code_version=OLD)) == 0
        assert results.get(record["_id"]).job_key == key_of(1)
