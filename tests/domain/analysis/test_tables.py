"""Declared tables: what may be declared, and what a file must hold."""

import pytest
from pydantic import BaseModel, Field

from domain.analysis.tables import check_columns, faults_of_tables
from domain.errors import OutputError


class Row(BaseModel):
    """A row."""

    unit_id: int = Field(description="Id (no unit).")
    rate_hz: float = Field(description="Rate (Hz).")


class Bare(BaseModel):
    """A row that nobody has described."""

    unit_id: int


@pytest.mark.parametrize("file", ["units.parquet", "units.csv", "deep/units.parquet"])
def test_a_parquet_or_csv_file_below_the_results_may_be_declared(file):
    assert faults_of_tables({file: Row}) == []


@pytest.mark.parametrize("file", ["/etc/units.csv", "../units.csv", "a/../units.csv", "./units.csv", "a//b.csv"])
def test_a_path_that_leads_elsewhere_is_refused(file):
    assert "not a plain path" in faults_of_tables({file: Row})[0]


@pytest.mark.parametrize("file", ["units.txt", "units", "units.parquet.gz", "units.PARQUET"])
def test_a_file_that_cannot_be_counted_is_refused(file):
    assert ".parquet or .csv" in faults_of_tables({file: Row})[0]


def test_a_column_needs_a_description():
    assert faults_of_tables({"units.csv": Bare}) == ["column `unit_id` of `units.csv` has no description"]


def test_the_order_of_columns_does_not_matter():
    check_columns("units.csv", ["rate_hz", "unit_id"], Row)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["unit_id"], "missing: `rate_hz`"),
        (["unit_id", "rate_hz", "extra"], "not declared: `extra`"),
        (["unit_id", "rate_hz", "rate_hz"], "there twice: `rate_hz`"),
        ([], "missing: `unit_id`, `rate_hz`"),
    ],
)
def test_other_columns_are_named(columns, told):
    with pytest.raises(OutputError, match=told):
        check_columns("units.csv", columns, Row)
