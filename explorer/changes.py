"""Converts events of the page's controls to changes of its state."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from explorer.data.analysis_data import Table
from explorer.data.columns import POINT, ROW
from explorer.state import MOST_CHOSEN, MOST_COMPARED, Selection, View, clean_selection, with_fields

_AXES = ("x", "y", "log_x", "log_y")


def changed(table: Table, view: View, what: str, value: Any) -> View:
    """Return the view after an event of a control.

    Parameters
    ----------
    table : Table
        The shown table; it limits columns and rows.
    view : View
        View before the event.
    what : str
        Name of the control.
    value : Any
        New value of the control, from a browser: of any type, not trusted.

    Returns
    -------
    View
        New view, not yet checked against the table; see `explorer.state.fitted`.
    """
    if what in {"picked", "clicked"}:
        found = _picked(table, view, value) if what == "picked" else _clicked(table, view, value)
        return view if found is None else replace(view, selection=found)
    new = _CHANGES[what](view, value) if what in _CHANGES else view
    same_axes = all(getattr(new, name) == getattr(view, name) for name in _AXES)
    return new if same_axes or "rows" in new.selection else replace(new, selection={})


def _grid(view: View, value: Any) -> View:
    """Set filters and order from a request of the grid."""
    request = value if isinstance(value, dict) else {}
    order = [one for one in request.get("sortModel") or [] if isinstance(one, dict)]
    sort = tuple(f"{'-' if one.get('sort') == 'desc' else ''}{one.get('colId')}" for one in order)
    return replace(view, sort=sort, filters=request.get("filterModel") or {})


def _log(view: View, value: Any) -> View:
    """Set the scales of the axes."""
    wanted = value or []
    return replace(view, log_x="x" in wanted, log_y="y" in wanted)


def _facet(view: View, value: Any) -> View:
    """Set the column of the value list, and clear the values of another column."""
    name = str(value or "")
    return view if name == view.facet else replace(view, facet=name, values=())


def _compare(view: View, value: Any) -> View:
    """Add a row to the comparison, and keep the last two."""
    rows = [*(row for row in view.compare if row != value), str(value)]
    return replace(view, compare=tuple(rows[-MOST_COMPARED:]))


def _uncompare(view: View, value: Any) -> View:
    return replace(view, compare=tuple(row for row in view.compare if row != value))


def _row(view: View, value: Any) -> View:
    """Show the row that was selected in the table."""
    first = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}
    return replace(view, show=str(first[ROW])) if ROW in first else view


def _text(name: str) -> Callable[[View, Any], View]:
    return lambda view, value: with_fields(view, {name: str(value or "")})


def _texts(name: str) -> Callable[[View, Any], View]:
    return lambda view, value: with_fields(view, {name: tuple(map(str, value or ()))})


_CHANGES: dict[str, Callable[[View, Any], View]] = {
    "grid": _grid,
    "log": _log,
    "facet": _facet,
    "compare": _compare,
    "uncompare": _uncompare,
    "row": _row,
    "show": _text("show"),
    "hide": lambda view, _: replace(view, show=""),
    "clear": lambda view, _: replace(view, selection={}),
    **{name: _text(name) for name in ("q", "x", "y", "colour")},
    **{name: _texts(name) for name in ("columns", "values")},
}


def _picked(table: Table, view: View, value: Any) -> Selection | None:
    """Return the box or lasso that was drawn; None if plotly only repeats the current selection."""
    if not isinstance(value, dict):
        return None
    if value.get("cleared"):  # plotly also sends this for a click on a point, which must not undo earlier clicks
        return None if "rows" in view.selection else {}
    kind = "box" if "range" in value else "lasso"
    drawn = value.get("range") or value.get("lassoPoints")
    if not isinstance(drawn, dict) or not view.x:
        return None
    named = {"x": view.x, "y": view.y} if view.y else {"x": view.x}
    corners = {axis: _numbers(drawn.get(axis), table, name) for axis, name in named.items()}
    return clean_selection({kind: corners}) or None


def _clicked(table: Table, view: View, value: Any) -> Selection | None:
    """Return the selection by a click on a point or a bar; clicks on several points accumulate."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("bar"), list):
        return clean_selection({"box": {"x": value["bar"]}}) or None
    if isinstance(number := value.get("point"), int | float):
        found = table.frame.filter(pl.col(POINT) == float(number))[ROW].head(1).to_list()
        before = [row for row in view.selection.get("rows", []) if row not in found]
        return {"rows": [*before, *found][-MOST_CHOSEN:]} if found else None
    return None


def _numbers(values: Any, table: Table, name: str) -> Any:
    """Return positions on an axis as numbers; plotly sends times as texts."""
    if not isinstance(values, list) or name not in table.columns:
        return None
    return [_milliseconds(value) for value in values] if table.columns[name].kind == "time" else values


def _milliseconds(value: Any) -> Any:
    """Return a time as milliseconds since 1970; other values are not changed, and rejected later."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value.strip()).replace(tzinfo=UTC).timestamp() * 1000
    except ValueError:
        return None
