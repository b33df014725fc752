"""Finding results from Python, opening their files, and data frames of them, over real servers."""

import json
import subprocess
import sys
import uuid
import warnings
from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from IPython.core.formatters import DisplayFormatter

from domain.errors import OutputError, ParametersError, SettingsError, UnknownJobError
from domain.failures import JobError
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import Job
from domain.job.state import JobState
from domain.job.stored import Source, StoredJob
from domain.result.provenance import GroupField
from domain.result.records import to_record
from domain.result.rows import FACTS
from resources.connections import connect
from resources.result_store.catalog_tables import write_catalog
from resources.settings import PROJECT_ROOT, Settings
from results.result import FailedJob, Result
from results.result_list import ResultList
from results.results import Results
from results.source import source_of
from tests.provenances import STARTED, rich, sparse
from tests.raw import records_of

CURRENT, OLD = "2.0.0+aaaaaaaaaaaa", "1.0.0+bbbbbbbbbbbb"
COUNT = 8
SCRIPT = "<script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\nnot really"


def key_of(number):
    return f"{number:064x}"


def made(number, code=CURRENT, *, minute=0, **changes):
    """Make the result of a job by some code; job 7 is of several subjects."""
    result = f"{number + (100 if code == OLD else 0):060x}abcd"
    attempt = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number}{code}{minute}"))
    fields = {
        "analysis": "quality",
        "job_key": key_of(number),
        "code_version": code,
        "result_id": result,
        "attempt": attempt,
        "location": f"s3://analysis-results/{result}/{attempt}",
        "subject_ids": ("700001", "700002") if number == 7 else (f"70000{number % 2}",),
        "session_names": (f"session {number}",),
        "parameters": {
            "analysis_tag": "wide" if number % 2 else "narrow",
            "method": "hill" if number < 4 else "llobet",
            "cutoff": number / 10,
            "lags": [1, number],
            "window": {"start_s": 0, "stop_s": float(number)},
            "note": "x" * 300,
        },
        "outputs": {"n": number, "fraction": None if number == 3 else number / 8, "word": "a" if number % 2 else 1},
        "group": (GroupField(field="subject.subject_id", value=f"70000{number % 2}"), GroupField(field="n", value=2)),
        "started": STARTED + timedelta(hours=number, minutes=minute),
        "ended": STARTED + timedelta(hours=number, minutes=minute + 1),
    }
    return sparse(**(fields | changes))


@pytest.fixture(scope="module")
def settings(home, servers):
    """Name the servers that all tests share, with a database of this module alone."""
    return Settings(analysis_home=home, docdb_database=f"test_{uuid.uuid4().hex[:16]}")


@pytest.fixture(scope="module")
def connections(settings):
    """Connect to the same servers as whoever writes there."""
    return connect(settings)


@pytest.fixture(scope="module")
def records(connections):
    """Give the records, to write some."""
    return connections.record_store


@pytest.fixture(scope="module")
def source(connections, settings):
    """Give what a single result is read from."""
    return source_of(connections, settings)


@pytest.fixture(scope="module")
def results(settings, connections, records):
    """Give eight jobs with a result each; four of them have one of older code too, and one job failed."""
    with Results(settings) as results:
        for number in range(COUNT):
            records.commit(to_record(made(number)))
        for number in range(4):  # of the older code; that of job 3 was computed last: somebody went back
            minute = 30 if number == 3 else -30
            records.commit(to_record(made(number, OLD, minute=minute)))
        _supersede(records)
        _fail(connections.ledger)
        facts = {b"analysis_assets": json.dumps({"code_version": CURRENT}).encode()}
        table = pa.table({"result_id": ["x"]}).replace_schema_metadata(facts)
        write_catalog(connections.catalog_files, "quality", table)
        yield results


def _supersede(records):
    """Replace the result of job 5, and invalidate that of a job 9."""
    wrong = to_record(made(9))
    records.commit(to_record(made(5, minute=5)), replaces=[made(5).attempt], who="me", reason="forced")
    records.commit(wrong)
    records.invalidate(wrong, who="you", reason="wrong")


def _fail(ledger):
    """Store a job that failed."""
    parameters = {"analysis_tag": "narrow", "method": "hill", "cutoff": 0.5}
    inputs = JobInputs.of(Job(s3_location=("s3://data/failing",)))
    job = StoredJob(
        analysis="quality", job_key=job_key(inputs, parameters), inputs=inputs, parameters=parameters, origins={}
    )
    group = (GroupField(field="subject.subject_id", value="700009"),)
    ledger.requests.store([(job, Source(name="test", group=group))], code_version=CURRENT)
    error = JobError(kind="exception", message=SCRIPT, permanent=True, traceback="Traceback: here").model_dump()
    ledger.claims.mark_unclaimed(
        ledger.jobs.get("quality", job.job_key), state=JobState.FAILED, code_version=CURRENT, error=error
    )


def names(found):
    """Return which results were found: number of the job, with a letter for the state."""
    letters = {"done": "", "outdated": "o", "superseded": "s"}
    return [f"{int(item.job_key, 16)}{letters[item.state]}" for item in found]


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


# -- one result --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(results, connections):
    """Give a result with files."""
    provenance, store = made(6), connections.results_store
    frame = pd.DataFrame({"unit": [1, 2], "rate_hz": [1.5, None]})
    store.put_bytes(provenance.location, "units.parquet", frame.to_parquet())
    store.put_bytes(provenance.location, "tables/units.csv", frame.to_csv(index=False).encode())
    store.put_bytes(provenance.location, "figure.png", PNG)
    store.put_bytes(provenance.location, 'a"b<c>.svg', SCRIPT.encode())
    store.put_bytes(provenance.location, "notes.txt", "µ".encode())
    return results.get(provenance.result_id)


def test_files_are_opened_by_name_and_downloaded_once(stored):
    sizes = {file.path: file.bytes for file in stored.files()}
    assert set(sizes) == {"units.parquet", "tables/units.csv", "figure.png", 'a"b<c>.svg', "notes.txt"}
    assert sizes["figure.png"] == len(PNG)
    path = stored.path("figure.png")
    assert path.read_bytes() == PNG
    written = path.stat().st_mtime_ns
    assert (stored.path("figure.png"), path.stat().st_mtime_ns) == (path, written)
    with stored.open("notes.txt", "r") as file:
        assert file.read() == "µ"
    with stored.open("tables/units.csv") as file:
        assert file.readline() == b"unit,rate_hz\n"


@pytest.mark.parametrize("name", ["../metadata.nd.json", "/etc/passwd", "a/../b", "", "a\0b", "nothing.txt", "tables"])
def test_a_name_that_is_not_a_file_is_refused(stored, name):
    with pytest.raises(OutputError):
        stored.path(name)


def test_a_missing_file_is_reported_with_those_that_there_are(stored):
    with pytest.raises(OutputError, match=r"no file 'unit.parquet' in s3://.*There are: .*'units.parquet'"):
        stored.path("unit.parquet")
    with pytest.raises(OutputError, match="only read"):
        stored.open("notes.txt", "w")


def test_tables_are_read_by_either_library(stored):
    table = stored.table("units.parquet")
    assert isinstance(table, pd.DataFrame)
    assert table["unit"].tolist() == [1, 2]
    other = stored.table("tables/units.csv", engine="polars")
    assert isinstance(other, pl.DataFrame)
    assert other["rate_hz"].to_list() == [1.5, None]
    with pytest.raises(OutputError, match=r"exactly one .* it has tables/units.csv, units.parquet"):
        stored.table()
    with pytest.raises(OutputError, match=r"expected \.parquet or \.csv"):
        stored.table("notes.txt")
    with pytest.raises(OutputError, match="expected 'pandas' or 'polars'"):
        stored.table("units.parquet", engine="spark")


def test_the_only_table_needs_no_name(results, connections):
    found = results.get(made(4).result_id)
    connections.results_store.put_bytes(found.location, "only.csv", b"a\n1\n")
    assert found.table()["a"].tolist() == [1]


def in_jupyter(thing):
    """Return how a notebook shows a thing, by kind."""
    return DisplayFormatter().format(thing)[0]


def test_a_figure_is_shown_by_jupyter_without_running_anything(stored):
    figure = stored.figure("figure.png")
    assert bytes(figure) == PNG
    assert set(in_jupyter(figure)) == {"image/png", "text/plain"}
    drawing = in_jupyter(stored.figure('a"b<c>.svg'))["text/html"]
    assert drawing.startswith('<img alt="a&quot;b&lt;c&gt;.svg" src="data:image/svg+xml;base64,')
    assert "<script" not in drawing
    assert set(in_jupyter(stored.figure("notes.txt"))) == {"text/plain"}
    with pytest.raises(OutputError, match="declares no figure"):
        stored.figure()


def test_the_declared_figure_needs_no_name(results, connections, source):
    provenance = made(2, figure="plot.png")
    connections.results_store.put_bytes(provenance.location, "plot.png", PNG)
    result = Result.of(provenance, state="done", source=source, superseded=None)
    assert (bytes(result.figure()), result.figure().name) == (PNG, "plot.png")
    assert result.figure_location == f"{provenance.location}/plot.png"


def test_a_result_has_everything_that_is_known_of_it(stored):
    assert (stored.analysis, stored.state, stored.provenance) == ("quality", "done", made(6))
    record = stored.record()
    assert (record["_id"], record["object_type"]) == (stored.result_id, "Metadata")
    assert "search" not in record["analysis_assets"]
    assert stored.row()["parameters.method"] == "llobet"


def test_links_are_addresses_that_a_person_can_open(results, stored, source):
    provenance = made(6, figure="a b.png", run_id="x/../y")
    links = Result.of(provenance, state="done", source=source, superseded=None).links
    assert links["files"].startswith("http://127.0.0.1:")
    assert links["figure"].endswith("/a%20b.png")
    assert links["run"] == "http://127.0.0.1:3000/runs/x%2F..%2Fy"
    assert set(stored.links) == {"files"}


@pytest.mark.parametrize(
    ("requested", "number", "state"),
    [
        (made(6).result_id, 6, "done"),
        (made(6).result_id[:60], 6, "done"),
        (made(1, OLD).result_id, 1, "outdated"),
        (key_of(3), 3, "outdated"),  # of a job the newest result
        (key_of(2), 2, "done"),
        (f"{made(5).result_id}/{made(5).attempt}", 5, "superseded"),
    ],
)
def test_one_result_is_got_by_its_id_or_its_job(results, requested, number, state):
    found = results.get(requested)
    assert (int(found.job_key, 16), found.state) == (number, state)


@pytest.mark.parametrize("requested", ["", "00", "zzzzzzzz", "f" * 64, f"{'f' * 64}/{uuid.uuid4()}", "0" * 65, 5, None])
def test_what_is_not_a_result_is_refused(results, requested):
    with pytest.raises(UnknownJobError):
        results.get(requested)


def test_digits_that_may_mean_several_are_refused(results):
    with pytest.raises(UnknownJobError, match=r"may mean several results: .* and .* more. Give more digits"):
        results.get("000000")


def test_a_job_of_two_analyses_needs_the_name(results, records):
    for name, result in (("one", "a" * 64), ("two", "b" * 64)):
        records.commit(to_record(made(60, analysis=name, result_id=result, job_key="c" * 64)))
    with pytest.raises(UnknownJobError, match="analysis="):
        results.get("c" * 64)
    assert results.get("c" * 64, analysis="two").result_id == "b" * 64


def test_a_superseded_result_says_who_why_and_still_has_its_record(results):
    invalidated, replaced = results.find("quality", state="superseded")
    assert (invalidated.superseded["how"], invalidated.superseded["reason"]) == ("invalidated", "wrong")
    assert (replaced.superseded["who"], replaced.provenance) == ("me", made(5))
    assert replaced.record()["superseded"]["reason"] == "forced"
    assert results.find("quality", session="session 5")[0].superseded is None


def test_what_was_found_stays_what_it_was_when_it_is_replaced_or_invalidated_meanwhile(results, records):
    for number in (70, 71):
        records.commit(to_record(made(number, analysis="moving")))
    found = results.find("moving", current_code_version=CURRENT)
    again = to_record(made(70, analysis="moving", minute=9))
    records.commit(again, replaces=[made(70, analysis="moving").attempt], who="me", reason="r")
    records.invalidate(to_record(made(71, analysis="moving")), who="me", reason="r")
    assert [one.provenance for one in found] == [made(71, analysis="moving"), made(70, analysis="moving")]
    assert found[1].record()["analysis_assets"]["attempt"] == made(70, analysis="moving").attempt


def test_a_damaged_record_is_left_out_and_reported(results, caplog, records):
    for number in (80, 81):
        records.commit(to_record(made(number, analysis="damaged")))
    records_of(records).update_one({"_id": made(80).result_id}, {"$set": {"processing": None}})
    found = results.find("damaged", current_code_version=CURRENT)
    assert names(found) == ["81"]
    assert f"The record {made(80).result_id} cannot be read" in caplog.text
    assert len(found.to_pandas()) == 1
    with pytest.raises(UnknownJobError, match="cannot be read"):
        found[1]
    with pytest.raises(UnknownJobError, match="cannot be read"):
        results.get(made(80).result_id)


# -- lists and data frames ---------------------------------------------------------------------------------------


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


# -- opening -----------------------------------------------------------------------------------------------------


def test_servers_that_do_not_run_are_started_and_stop_at_the_end_of_python(tmp_path):
    program = (
        "import gc; from results.results import Results; found = Results()._source; gc.collect(); "
        "print(found.records.analyses())"  # what was found is read although nobody has kept the `Results`
    )
    environment = {"PATH": "/usr/bin:/bin", "ANALYSIS_HOME": str(tmp_path / "home"), "DOCDB_DATABASE": "x"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert not (tmp_path / "home" / "servers.json").exists()
    assert list((tmp_path / "home" / "users").iterdir()) == []


def test_it_may_be_closed_more_than_once(settings):
    results = Results(settings)
    results.close()
    results.close()


def test_settings_that_cannot_be_used_are_refused(monkeypatch):
    monkeypatch.setenv("DOCDB_HOST", "somewhere")
    monkeypatch.setenv("ANALYSIS_BUCKET", "")
    with pytest.raises(SettingsError):
        Results()


def test_everything_of_a_rich_result_fits_into_both_frames(settings):
    own = settings.model_copy(update={"docdb_collection": "rich"})
    records = connect(own).record_store
    with Results(own) as results:
        records.commit(to_record(rich()))
        found = results.find("demo", current_code_version=rich().code_version)
        assert found.to_pandas().iloc[0]["inputs"] == found[0].row()["inputs"]
        assert list(found.rows()) == [one.row() for one in found], "what rows are read without is in none of them"
        assert found.to_pandas()["group"].tolist() == ["subject.subject_id=700001, $odd.name=None, n=2, list=[1,2]"]
        assert found.to_polars()["outputs.list"].to_list() == [[1.0, None]]
