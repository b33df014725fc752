"""Rows of results become a table of plain columns, whatever the outputs are."""

from datetime import UTC, datetime

import polars as pl
import pyarrow as pa

from domain.result.rows import FACTS, result_row
from explorer.data.columns import ANALYSIS, POINT, ROW, columns_of, shown_first
from explorer.data.frames import from_arrow, from_rows, shared
from tests.explorer.harness import ENTRY, NAME, catalog_of, provenance, result_id
from tests.provenances import rich


def test_a_catalog_and_its_rows_give_the_same_table():
    found = [provenance(n) for n in range(5)]
    rows = from_rows([result_row(one, state="done") for one in found], NAME)
    table = from_arrow(catalog_of(found), NAME)
    assert table.columns == rows.columns
    assert table[ROW].to_list() == [result_id(n)[:20] for n in range(5)]
    same = [name for name in table.columns if name != "outputs.n_units"]
    assert table.select(same).equals(rows.select(same))


def test_outputs_of_every_kind_become_texts_numbers_and_yes_or_no():
    table = from_rows([result_row(rich(), state="done")], "demo")
    assert table["outputs.rate_hz"].dtype == pl.Float64
    assert table["outputs.ok"].to_list() == [True]
    assert table["outputs.list"].to_list() == ["[1.0, null]"]
    assert table["outputs.bad"].to_list() == [None]
    assert table["inputs"].to_list() == ["s3://bucket/ässet 1, S3://Bucket/asset_2/, s3://bucket/a/file.nwb"]
    assert table["started"].dtype == pl.Datetime("ms", "UTC")


def test_values_of_different_kinds_in_one_column_become_texts():
    base = result_row(provenance(0), state="done")
    table = from_rows([base | {"outputs.x": 1}, base | {"outputs.x": "high"}, base | {"outputs.x": [1]}, base], "demo")
    assert table["outputs.x"].to_list() == ["1", "high", "[1]", None]


def test_nested_columns_of_parquet_become_texts():
    table = pa.Table.from_pylist([{"result_id": "a" * 64, "outputs.t": {"b": 1}, "outputs.l": [1, 2], "extra": None}])
    found = from_arrow(table, "demo")
    assert found["outputs.t"].to_list() == ['{"b": 1}']
    assert found["outputs.l"].to_list() == ["[1, 2]"]


def test_tables_of_all_analyses_go_together_even_empty_ones():
    parts = [shared(from_rows([], "a")), shared(from_arrow(catalog_of([provenance(1)]), NAME))]
    whole = pl.concat(parts)
    assert whole.columns == [ANALYSIS, *FACTS, ROW, POINT]
    assert whole[ANALYSIS].to_list() == [NAME]


def test_a_failed_job_has_a_name_of_its_own_in_each_analysis():
    row = dict.fromkeys(FACTS) | {"job_key": "c" * 64, "state": "failed", "started": datetime(2026, 1, 1, tzinfo=UTC)}
    names = {from_rows([row], name)[ROW][0] for name in ("a", "b")}
    assert names == {"failed-a-" + "c" * 20, "failed-b-" + "c" * 20}


def test_columns_have_units_and_meanings_of_the_models():
    columns = columns_of(from_arrow(catalog_of([provenance(0)]), NAME), ENTRY)
    assert columns["outputs.rate_hz"].title == "rate_hz (Hz)"
    assert columns["outputs.n_units"].title == "n_units"
    assert columns["parameters.bin_s"].long_title == "parameter bin_s (s)"
    assert columns["duration_s"].title == "duration (s)"
    assert columns["ended"].kind == "time"
    assert {ROW, POINT}.isdisjoint(columns)
    assert shown_first(columns)[0] == "state"
