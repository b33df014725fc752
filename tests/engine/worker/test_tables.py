"""Declared tables are looked at after each job, and their rows counted."""

from pathlib import Path

import pytest
from pydantic import Field

from analysis_assets.methods.tables import write_table
from domain.analysis import Analysis, OutputsModel, ParametersModel
from domain.errors import AnalysisFileError, OutputError
from engine.worker.tables import checked_tables


class Row(OutputsModel):
    """A row."""

    unit_id: int = Field(description="Id (no unit).")
    rate_hz: float | None = Field(description="Rate (Hz).")


def declared(**tables):
    """Declare tables."""
    fields = {"name": "demo", "version": "1", "owners": ("team:t",), "parameters": ParametersModel}
    return Analysis(**fields, outputs=OutputsModel, run=lambda *_: None, tables=tables)


ROWS = [Row(unit_id=number, rate_hz=None) for number in range(7)]


def rows_by_file(tables):
    return [(table.file, table.rows) for table in tables]


def test_rows_are_counted_in_the_order_of_declaration(tmp_path):
    (tmp_path / "deep").mkdir()
    write_table(ROWS, Row, tmp_path / "deep/units.parquet")
    (tmp_path / "a.csv").write_text('\ufeffunit_id,rate_hz\n1,2\n"3\n4",5\n\n', encoding="utf-8")
    found = checked_tables(declared(**{"deep/units.parquet": Row, "a.csv": Row}), tmp_path)
    assert rows_by_file(found) == [("deep/units.parquet", 7), ("a.csv", 2)]


@pytest.mark.parametrize("name", ["none.parquet", "none.csv"])
def test_a_table_without_rows_is_a_table(name, tmp_path):
    if name.endswith("csv"):
        (tmp_path / name).write_text("unit_id,rate_hz\n", encoding="utf-8")
    else:
        write_table([], Row, tmp_path / name)
    assert rows_by_file(checked_tables(declared(**{name: Row}), tmp_path)) == [(name, 0)]


def test_a_declared_table_that_was_not_written_is_an_error(tmp_path):
    with pytest.raises(OutputError, match=r"`demo` declares the table `units\.csv`, but did not write it"):
        checked_tables(declared(**{"units.csv": Row}), tmp_path)


def test_other_columns_are_an_error(tmp_path):
    (tmp_path / "units.csv").write_text("unit_id,rate\n", encoding="utf-8")
    with pytest.raises(OutputError, match="missing: `rate_hz`; not declared: `rate`"):
        checked_tables(declared(**{"units.csv": Row}), tmp_path)


@pytest.mark.parametrize("name", ["units.parquet", "units.csv"])
def test_a_file_that_is_not_a_table_is_an_error_of_its_author(name, tmp_path):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00PAR1")
    with pytest.raises(OutputError, match=f"The table `{name}` cannot be read"):
        checked_tables(declared(**{name: Row}), tmp_path)


def test_an_analysis_without_tables_has_none():
    assert checked_tables(declared(), Path("/nowhere")) == ()


def test_a_table_that_cannot_be_declared_stops_the_load():
    with pytest.raises(AnalysisFileError, match=r"The tables of `demo` cannot be used: `units.txt` must end with"):
        declared(**{"units.txt": Row})
