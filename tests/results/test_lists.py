"""Lists of results, and data frames of them."""

import json

import polars as pl
import pytest

from domain.errors import ParametersError
from domain.result.records import to_record
from domain.result.rows import FACTS
from resources.connections import connect
from results.result import FailedJob
from results.result_list import ResultList
from results.results import Results
from tests.raw import records_of
from tests.results.made_results import CURRENT, OLD, SCRIPT, in_jupyter, made, names


def test_a_list_is_a_sequence(results, source):
    found = ResultList(source, results.find("quality", state="done").items, at_once=5, page=3)
    assert names(found) == [names([found[n]])[0] for n in range(len(found))] == ["7", "6", "5", "4", "3", "2", "1", "0"]
    assert names(found[2:4]) == ["5", "4"]
    assert (names([found[-1]]), names(found[::-1])[:2]) == (["0"], ["0", "1"])
    with pytest.raises(IndexError):
        found[8]
    assert results.get(made(6).result_id) in found


def test_a_data_frame_has_a_row_for_each_result(results):
    frame = results.find("quality", state=["done", "outdated", "superseded"]).to_pandas()
    assert list(frame.columns[: len(FACTS)]) == list(FACTS)
    assert len(frame) == 14
    assert list(frame.columns[len(FACTS) :]) == [
        *(f"parameters.{name}" for name in made(1).parameters),
        *(f"outputs.{name}" for name in made(1).outputs),
    ]
    assert frame["ended"].is_monotonic_decreasing
    assert str(frame["ended"].dt.tz) == "UTC"
    assert frame["parameters.cutoff"].dtype == frame["outputs.fraction"].dtype == "float64"
    assert frame.groupby("parameters.method")["outputs.n"].nunique().to_dict() == {"hill": 4, "llobet": 5}
    assert frame["subject"][frame["session"] == "session 7"].tolist() == ["700001, 700002"]
    assert frame["duration_s"].eq(60).all()


def test_polars_gives_the_same(results):
    found = results.find("quality", state=["done", "failed"])
    frame = found.to_polars()
    assert frame.columns == list(found.to_pandas().columns)
    assert frame.schema["ended"] == pl.Datetime("us", "UTC")
    assert frame.filter(pl.col("parameters.cutoff") == 0.6)["session"].to_list() == ["session 6"]
    assert frame["parameters.window"].to_list()[0] == {"start_s": 0, "stop_s": 7.0}
    assert set(frame["outputs.word"]) == {"1", "a", None}, "of several types: texts"
    assert frame["inputs"].to_list()[0] == ["s3://bucket/asset"]


def test_a_frame_of_nothing_has_the_columns_of_facts(results):
    nothing = results.find("quality", tag="no such tag")
    assert list(nothing.to_pandas().columns) == nothing.to_polars().columns == list(FACTS)
    assert nothing.to_pandas().empty


def test_parameters_that_a_result_does_not_have_are_empty(settings):
    own = settings.model_copy(update={"docdb_collection": "uneven"})
    records = connect(own).record_store
    with Results(own) as results:
        for number, parameters in enumerate(({"a": 1}, {"b": 2.5}, {"a": 3, "c": [1, {"d": None}]})):
            records.commit(to_record(made(number, parameters=parameters)))
        found = results.find("quality")
        assert found.to_pandas()["parameters.a"].fillna(0).tolist() == [3, 0, 1]
        assert found.to_polars()["parameters.b"].to_list() == [None, 2.5, None]
        assert found.to_pandas()["parameters.c"].tolist()[0] == [1, {"d": None}]
        assert json.loads(found.to_polars()["parameters.c"].to_list()[0]) == [1, {"d": None}]


def test_jobs_that_failed_are_found_with_why(results):
    (failed,) = results.find("quality", state="failed")
    assert isinstance(failed, FailedJob)
    assert (failed.state, failed.message, failed.traceback) == ("failed", SCRIPT, "Traceback: here")
    frame = results.find("quality", state=["failed", "done"]).to_pandas()
    assert frame["failure_kind"].dropna().tolist() == ["exception"]
    assert frame["state"].value_counts().to_dict() == {"done": 8, "failed": 1}


@pytest.mark.parametrize(
    ("requested", "count"),
    [
        ({"parameters": {"cutoff": 0.5, "method": "hill"}}, 1),
        ({"parameters": {"cutoff": 0.4}}, 0),
        ({"tag": "narrow"}, 1),
        ({"tag": "wide"}, 0),
        ({"group": {"subject.subject_id": "700009"}}, 1),
        ({"group": {"subject.subject_id": "700001"}}, 0),
        ({"code_version": "2.0.0"}, 1),
        ({"code_version": OLD}, 0),
        ({"until": "2020-01-01"}, 0),
        ({"newest": True}, 1),
    ],
)
def test_jobs_that_failed_meet_the_same_conditions(results, requested, count):
    assert results.count("quality", state="failed", **requested) == count


def test_jupyter_shows_texts_and_no_markup_of_theirs(results, records):
    hostile = made(90, analysis="hostile", session_names=(SCRIPT,), parameters={"<b>": SCRIPT}, outputs={"x": SCRIPT})
    records.commit(to_record(hostile))
    found = results.find("hostile", current_code_version=CURRENT)
    failed = results.find("quality", state="failed")
    for shown in (in_jupyter(one)["text/html"] for one in (found, found[0], failed)):
        assert "<script" not in shown
        assert "alert(1)" in shown
    assert "<b>" not in in_jupyter(found[0])["text/html"]
    everything = results.find("quality")
    assert "12 results" in in_jupyter(everything)["text/html"]
    assert "and 2 more" in in_jupyter(everything)["text/html"]
    assert "and 2 more" in repr(everything)
    assert "session 7" in repr(everything)
    assert SCRIPT in repr(failed)


def test_records_of_the_earlier_wrapper_are_read_as_they_are_and_are_not_results(settings):
    def old(number, **process):
        parameters = {"analysis_tag": "old", "cutoff": number, "window": {"a": 1, "b": 2}}
        code = {"url": "https://host/repo", "parameters": parameters}
        ended = f"2025-07-0{number}T00:00:00"
        made = {"process_type": "Analysis", "code": code, "end_date_time": ended, **process}
        return {"_id": f"old {number}", "location": f"s3://b/{number}", "processing": {"data_processes": [made]}}

    own = settings.model_copy(update={"docdb_collection": "wrappers"})
    records = connect(own).record_store
    with Results(own) as results:
        odd = [{"_id": "odd", "processing": None}, old(4, code=None), {"_id": "x", "processing": {"data_processes": 5}}]
        for record in (old(1), old(3), old(2), *odd, to_record(made(1))):
            records_of(records).insert_one(record)
        assert [record["_id"] for record in results.wrapper_records()] == ["old 3", "old 2", "old 1"]
        assert results.wrapper_records(tag="old", parameters={"cutoff": 2.0}) == [old(2)]
        assert len(results.wrapper_records(parameters={"window": {"b": 2}})) == 3
        assert results.wrapper_records(tag="new") == []
        assert names(results.find("quality", current_code_version=CURRENT)) == ["1"]
        with pytest.raises(ParametersError):
            results.wrapper_records(parameters={"a": object()})
