"""Converts rows to a table with typed columns in a fixed order."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from domain.batching import in_batches
from domain.result.rows import DONE, FAILED, OUTDATED
from results_table.columns import OTHER_VALUES, Column, fit, json_text

_ROWS_AT_ONCE = 2000
_TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "json": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "texts": pa.list_(pa.string()),
}
_ORDER = [("ended", "descending"), ("job_key", "ascending"), ("result_id", "ascending")]


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Return the schema of a results table; the metadata of a column has its description and unit."""
    return pa.schema([pa.field(c.name, _TYPES[c.kind], metadata=_column_metadata(c)) for c in columns])


def table_of(rows: Iterable[dict[str, Any]], columns: Sequence[Column]) -> pa.Table:
    """Convert rows to a table, in chunks to limit memory.

    Parameters
    ----------
    rows : iterable of dict
        Rows from `domain.result.rows`. A missing value is null; one without a column, or of a type that its column
        does not hold, goes to the column `OTHER_VALUES`.
    columns : sequence of Column
        Names, types and order of the columns.
    """
    schema = schema_of(columns)
    parts = [
        pa.Table.from_pylist([_fitted(row, columns) for row in some], schema=schema)
        for some in in_batches(rows, _ROWS_AT_ONCE)
    ]
    return pa.concat_tables(parts) if parts else schema.empty_table()


def ordered(table: pa.Table) -> pa.Table:
    """Sort rows by time, the latest first and those without a time last; equal times are sorted by id."""
    return table.take(pc.sort_indices(table, sort_keys=_ORDER)).combine_chunks()


def counts(table: pa.Table) -> dict[str, int]:
    """Return the number of rows, and of each state."""
    found = pc.value_counts(table["state"]).to_pylist()
    by_state = {one["values"]: one["counts"] for one in found}
    return {"rows": table.num_rows, **{state: by_state.get(state, 0) for state in (DONE, OUTDATED, FAILED)}}


def _fitted(row: dict[str, Any], columns: Sequence[Column]) -> dict[str, Any]:
    """Return a row with converted values."""
    found, other = {}, {name: row[name] for name in row.keys() - {c.name for c in columns}}
    for column in columns:
        found[column.name], fits = fit(row.get(column.name), column.kind)
        if not fits:
            other[column.name] = row[column.name]
    if other:
        found[OTHER_VALUES] = json_text(other)
    return found


def _column_metadata(column: Column) -> dict[str, str]:
    """Return the metadata of a column in the Parquet file."""
    return {"kind": column.kind, "meaning": column.meaning, "unit": column.unit}
