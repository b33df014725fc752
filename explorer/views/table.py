"""The table: filters and sorts the rows of a view, and converts them for the browser."""

import math
from datetime import datetime
from typing import Any

import polars as pl

from explorer.data.analysis_data import Table
from explorer.data.columns import ROW, SEARCHED
from explorer.data.filters import condition
from explorer.data.places import chosen
from explorer.state import View, columns_shown

_MOST_ROWS_AT_ONCE = 1000
_LONGEST_CELL = 500
_FILTERS = {"text": "agTextColumnFilter", "number": "agNumberColumnFilter", "time": "agDateColumnFilter"}
_MOST_CONDITIONS = 10
_RULES_OF_TIMES = ["equals", "inRange", "lessThan", "greaterThan", "blank", "notBlank"]


def matching(table: Table, view: View) -> pl.DataFrame:
    """Return the rows that match filters, search and value list, ignoring the selection in the plot.

    Parameters
    ----------
    table : Table
        The unfiltered table, with all columns.
    view : View
        View whose columns exist in the table.
    """
    found = condition(view.filters, table.columns)
    if view.q:
        text = view.q.lower()
        cells = [pl.col(name).cast(pl.String).str.to_lowercase() for name in SEARCHED]
        found &= pl.any_horizontal(cell.str.contains(text, literal=True).fill_null(value=False) for cell in cells)
    if view.facet and view.values:
        found &= pl.col(view.facet).cast(pl.String).is_in(list(view.values))
    return table.frame.filter(found)


def listed(table: Table, view: View) -> pl.DataFrame:
    """Return the rows that the table lists: those that match and are selected, in order."""
    return in_order(chosen(table, matching(table, view), view), view)


def in_order(frame: pl.DataFrame, view: View) -> pl.DataFrame:
    """Sort rows by the columns of the view, by default the newest first. The sort is stable."""
    names = [name.removeprefix("-") for name in view.sort] or ["ended"]
    down = [name.startswith("-") for name in view.sort] or [True]
    return frame.sort(names, descending=down, nulls_last=True, maintain_order=True)


def page(frame: pl.DataFrame, start: int, end: int) -> list[dict[str, Any]]:
    """Return a page of rows as JSON values.

    Parameters
    ----------
    frame : polars.DataFrame
        Rows in the order of the table.
    start, end : int
        First row, and the row after the last; at most a thousand are returned.
    """
    start = max(0, start)
    wanted = frame.slice(start, max(0, min(end - start, _MOST_ROWS_AT_ONCE)))
    return [{name: cell(value) for name, value in row.items()} for row in wanted.iter_rows(named=True)]


def cell(value: Any) -> Any:
    """Return a value as shown in the table."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str) and len(value) > _LONGEST_CELL:
        return f"{value[:_LONGEST_CELL]}…"
    return value


def column_definitions(table: Table, view: View) -> list[dict[str, Any]]:
    """Return the column definitions of AG Grid: shown columns first, others hidden.

    Hidden columns are defined too, so that filters on them are kept.
    """
    first = columns_shown(view, table.columns)
    order = [*first, *(name for name in table.columns if name not in first)]
    return [_definition(table, name, view, hide=name not in first) for name in order]


def _definition(table: Table, name: str, view: View, *, hide: bool) -> dict[str, Any]:
    column = table.columns[name]
    sorted_by = [one.removeprefix("-") for one in view.sort]
    found: dict[str, Any] = {
        "field": name,
        "colId": name,
        "headerName": column.title,
        "headerTooltip": f"{column.long_title}. {column.meaning}",
        "hide": hide,
        "filter": _FILTERS[column.kind],
        "filterParams": {"inRangeInclusive": True, "maxNumConditions": _MOST_CONDITIONS, "buttons": ["reset"]},
    }
    if column.kind == "time":
        found["filterParams"]["filterOptions"] = _RULES_OF_TIMES
    if column.kind == "number":
        found |= {"type": "rightAligned", "valueFormatter": {"function": "shortNumber(params.value)"}}
    if name in sorted_by:
        place = sorted_by.index(name)
        found |= {"initialSort": "desc" if view.sort[place].startswith("-") else "asc", "initialSortIndex": place}
    return found


def row_named(table: Table, name: str) -> dict[str, Any] | None:
    """Return a row by its short name; None if there is none."""
    found = table.frame.filter(pl.col(ROW) == name).head(1).to_dicts()
    return found[0] if found else None
