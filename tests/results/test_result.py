"""One result: its files, tables, figure, links and record."""

import uuid

import pandas as pd
import polars as pl
import pytest

from domain.errors import OutputError, UnknownJobError
from domain.result.records import to_record
from results.result import Result
from tests.raw import records_of
from tests.results.made_results import CURRENT, OLD, PNG, in_jupyter, key_of, made, names


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
