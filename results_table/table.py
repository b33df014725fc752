"""Rows as a table: typed columns in a fixed order, whatever the rows hold."""

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
    """Return the schema of a catalog; each column says with its kind what it means."""
    return pa.schema([pa.field(c.name, _TYPES[c.kind], metadata=_told(c)) for c in columns])


def table_of(rows: Iterable[dict[str, Any]], columns: Sequence[Column]) -> pa.Table:
    """Return rows as a table, some of them at a time.

    Parameters
    ----------
    rows : iterable of dict
        As `domain.result.rows` makes them. A missing value is null; one without a column, or of a type that its column
        does not hold, goes to the column `OTHER_VALUES`.
    columns : sequence of Column
        The columns.
    """
    schema = schema_of(columns)
    parts = [
        pa.Table.from_pylist([_fitted(row, columns) for row in some], schema=schema)
        for some in in_batches(rows, _ROWS_AT_ONCE)
    ]
    return pa.concat_tables(parts) if parts else schema.empty_table()


def ordered(table: pa.Table) -> pa.Table:
    """Return a table with the latest rows first, those without a time last: the same rows always in the same order."""
    return table.take(pc.sort_indices(table, sort_keys=_ORDER)).combine_chunks()


def counts(table: pa.Table) -> dict[str, int]:
    """Return how many rows there are, and how many of each state."""
    found = pc.value_counts(table["state"]).to_pylist()
    by_state = {one["values"]: one["counts"] for one in found}
    return {"rows": table.num_rows, **{state: by_state.get(state, 0) for state in (DONE, OUTDATED, FAILED)}}


def _fitted(row: dict[str, Any], columns: Sequence[Column]) -> dict[str, Any]:
    """Return a row whose values fit its columns."""
    found, other = {}, {name: row[name] for name in row.keys() - {c.name for c in columns}}
    for column in columns:
        found[column.name], fits = fit(row.get(column.name), column.kind)
        if not fits:
            other[column.name] = row[column.name]
    if other:
        found[OTHER_VALUES] = json_text(other)
    return found


def _told(column: Column) -> dict[str, str]:
    """Return what a reader of the file may want to know of a column."""
    return {"kind": column.kind, "meaning": column.meaning, "unit": column.unit}
