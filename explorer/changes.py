"""What a person does on the page, as a change of what is seen."""

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
    """Return the view after something was done.

    Parameters
    ----------
    table : Table
        The table that is seen.
    view : View
        What was seen before.
    what : str
        Which control.
    value : Any
        What it says now; anything at all, because a browser sent it.

    Returns
    -------
    View
        Not yet compared with the table: see `explorer.state.fitted`.
    """
    if what in {"picked", "clicked"}:
        found = _picked(table, view, value) if what == "picked" else _clicked(table, view, value)
        return view if found is None else replace(view, selection=found)
    new = _CHANGES[what](view, value) if what in _CHANGES else view
    same_axes = all(getattr(new, name) == getattr(view, name) for name in _AXES)
    return new if same_axes or "rows" in new.selection else replace(new, selection={})


def _grid(view: View, value: Any) -> View:
    """Take filters and order from what the grid asks for."""
    asked = value if isinstance(value, dict) else {}
    order = [one for one in asked.get("sortModel") or [] if isinstance(one, dict)]
    sort = tuple(f"{'-' if one.get('sort') == 'desc' else ''}{one.get('colId')}" for one in order)
    return replace(view, sort=sort, filters=asked.get("filterModel") or {})


def _log(view: View, value: Any) -> View:
    """Take the scales of the axes."""
    wanted = value or []
    return replace(view, log_x="x" in wanted, log_y="y" in wanted)


def _facet(view: View, value: Any) -> View:
    """Take the column whose values are chosen; values of another column mean nothing."""
    name = str(value or "")
    return view if name == view.facet else replace(view, facet=name, values=())


def _compare(view: View, value: Any) -> View:
    """Add a row to the comparison; of more than two the last two stay."""
    rows = [*(row for row in view.compare if row != value), str(value)]
    return replace(view, compare=tuple(rows[-MOST_COMPARED:]))


def _uncompare(view: View, value: Any) -> View:
    """Take a row out of the comparison."""
    return replace(view, compare=tuple(row for row in view.compare if row != value))


def _row(view: View, value: Any) -> View:
    """Show the row that was chosen in the table."""
    first = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}
    return replace(view, show=str(first[ROW])) if ROW in first else view


def _text(name: str) -> Callable[[View, Any], View]:
    """Take one text."""
    return lambda view, value: with_fields(view, {name: str(value or "")})


def _texts(name: str) -> Callable[[View, Any], View]:
    """Take a list of texts."""
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
    """Return the box or lasso that was drawn; None when plotly only says again what it was told."""
    if not isinstance(value, dict):
        return None
    if value.get("cleared"):  # plotly also says this at a click on a point, which must not undo the clicks before
        return None if "rows" in view.selection else {}
    kind = "box" if "range" in value else "lasso"
    drawn = value.get("range") or value.get("lassoPoints")
    if not isinstance(drawn, dict) or not view.x:
        return None
    named = {"x": view.x, "y": view.y} if view.y else {"x": view.x}
    corners = {axis: _numbers(drawn.get(axis), table, name) for axis, name in named.items()}
    return clean_selection({kind: corners}) or None


def _clicked(table: Table, view: View, value: Any) -> Selection | None:
    """Return what a click on a point or a bar selects; clicks on several points add up."""
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
    """Return places on an axis as numbers; plotly gives times as texts."""
    if not isinstance(values, list) or name not in table.columns:
        return None
    return [_milliseconds(value) for value in values] if table.columns[name].kind == "time" else values


def _milliseconds(value: Any) -> Any:
    """Return a time as milliseconds since 1970; what is none stays as it is, and is refused later."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value.strip()).replace(tzinfo=UTC).timestamp() * 1000
    except ValueError:
        return None
