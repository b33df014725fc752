"""The state of the page as one value, which is stored in the URL and from which every part is rendered."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode

from domain.messages import shown
from domain.result.search_entries import OUTPUTS
from explorer.data.columns import Column, shown_first
from explorer.data.filters import Rule, cleaned

MOST_CHOSEN = 12
"""Maximum number of results side by side, and of results that are selected one by one."""

MOST_COMPARED = 2
_LONGEST_ADDRESS = 30_000
_MOST_CORNERS = 400
_MOST_VALUES = 200
_LONGEST_VALUE = 500
_TEXTS = ("analysis", "q", "x", "y", "colour", "facet", "show")
_LISTS = {"column": "columns", "value": "values", "compare": "compare"}

Selection = dict[str, Any]


@dataclass(frozen=True)
class View:
    """The state of the page.

    Attributes
    ----------
    analysis : str
        Name of the analysis; empty for all.
    columns : tuple of str
        Shown columns in order; empty for the default.
    filters : dict
        A filter model, see `explorer.data.filters`.
    sort : tuple of str
        Columns to sort by; a leading ``-`` means descending.
    q : str
        Text to search in subject, session and tag.
    facet, values : str and tuple of str
        Only rows with one of these values in this column.
    x, y, colour : str
        Columns of the plot; without ``y`` it is a histogram.
    log_x, log_y : bool
        Axes with logarithmic scale.
    selection : dict
        Selection in the plot: a box, a lasso, or single rows.
    show : str
        The row whose details are shown.
    compare : tuple of str
        Rows that are compared.
    """

    analysis: str = ""
    columns: tuple[str, ...] = ()
    filters: dict[str, Rule] = field(default_factory=dict)
    sort: tuple[str, ...] = ()
    q: str = ""
    facet: str = ""
    values: tuple[str, ...] = ()
    x: str = ""
    y: str = ""
    colour: str = ""
    log_x: bool = False
    log_y: bool = False
    selection: Selection = field(default_factory=dict)
    show: str = ""
    compare: tuple[str, ...] = ()


def to_search(view: View) -> str:
    """Return the query of a URL; fields with default values are left out."""
    pairs: list[tuple[str, str]] = [(name, getattr(view, name)) for name in _TEXTS if getattr(view, name)]
    pairs += [(word, one) for word, name in _LISTS.items() for one in getattr(view, name)]
    pairs += [("sort", one) for one in view.sort]
    pairs += [("log", axis) for axis in ("x", "y") if getattr(view, f"log_{axis}")]
    named = {"filters": view.filters, "selection": view.selection}
    pairs += [(name, json.dumps(value, separators=(",", ":"))) for name, value in named.items() if value]
    return f"?{urlencode(pairs)}" if pairs else ""


def from_search(search: str) -> tuple[View, list[str]]:
    """Parse the query of a URL; any text gives a view.

    Parameters
    ----------
    search : str
        Query with or without ``?``.

    Returns
    -------
    view : View
        View with unchecked filters and columns; see `fitted`.
    notes : list of str
        A message for each part that is invalid.
    """
    if len(search) > _LONGEST_ADDRESS:
        return View(), ["The address is too long and was not read."]
    found = parse_qs(search.removeprefix("?"), keep_blank_values=False, errors="replace", max_num_fields=None)
    known = {*_TEXTS, *_LISTS, "sort", "log", "filters", "selection"}
    notes = [f"The address contains `{shown(name)}`, which means nothing here." for name in found if name not in known]
    texts = {name: _short(found.get(name, [""])[-1]) for name in _TEXTS}
    lists = {name: tuple(dict.fromkeys(map(_short, found.get(word, [])))) for word, name in _LISTS.items()}
    filters, selection = (_json(found.get(name, ["{}"])[-1], name, notes) for name in ("filters", "selection"))
    view = View(
        **texts,
        columns=lists["columns"],
        values=lists["values"][:_MOST_VALUES],
        compare=lists["compare"][:MOST_COMPARED],
        sort=tuple(dict.fromkeys(map(_short, found.get("sort", [])))),
        log_x="x" in found.get("log", []),
        log_y="y" in found.get("log", []),
        filters=filters,
        selection=clean_selection(selection),
    )
    if selection and not view.selection:
        notes.append("The selection of this address cannot be read and was left out.")
    return view, notes


def fitted(view: View, columns: Mapping[str, Column]) -> tuple[View, list[str]]:
    """Remove columns and values that a table does not have.

    Parameters
    ----------
    view : View
        View from a URL or a browser.
    columns : mapping
        Columns of the table, by name.

    Returns
    -------
    view : View
        View in which all columns exist.
    notes : list of str
        A message for each removed part.
    """
    filters, notes = cleaned(view.filters, columns)
    named = {name for name in (view.x, view.y, view.colour, view.facet, *view.columns) if name}
    named |= {name.removeprefix("-") for name in view.sort}
    notes += [f"There is no column `{shown(name)}`; it was left out." for name in sorted(named - set(columns))]
    there = tuple(name for name in view.columns if name in columns)
    only: dict[str, Any] = {name: _there(getattr(view, name), columns) for name in ("x", "y", "colour", "facet")}
    return (
        replace(
            view,
            **only,
            filters=filters,
            columns=() if there == shown_first(columns) else there,
            sort=tuple(name for name in view.sort if name.removeprefix("-") in columns),
            values=view.values if only["facet"] else (),
            selection=view.selection if only["x"] == view.x and only["y"] == view.y else {},
        ),
        notes,
    )


def columns_shown(view: View, columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the columns of a table that a view shows, in order."""
    return view.columns or shown_first(columns)


def with_fields(view: View, fields: Mapping[str, Any]) -> View:
    """Return a view with changed fields."""
    return replace(view, **fields)


def with_axes(view: View, columns: Mapping[str, Column]) -> View:
    """Set default axes in a view without axes: two outputs, otherwise time and duration."""
    if view.x or view.y:
        return view
    found = [name for name, one in columns.items() if one.kind == "number" and name.startswith(f"{OUTPUTS}.")]
    x, y = [*found, ""][:2] if found else ["ended", "duration_s"]
    return replace(view, x=x, y=y)


def clean_selection(found: Any) -> Selection:
    """Return a valid selection; an empty one for anything else.

    Returns
    -------
    dict
        ``{"rows": [...]}``, ``{"box": {"x": [low, high], "y": [low, high]}}`` (a histogram's has no ``y``), or
        ``{"lasso": {"x": [...], "y": [...]}}`` with the corners of a polygon.
    """
    if not isinstance(found, dict):
        return {}
    if isinstance(rows := found.get("rows"), list):
        return {"rows": [_short(row) for row in rows if isinstance(row, str)][:MOST_CHOSEN]} if rows else {}
    if isinstance(box := found.get("box"), dict):
        ends = {axis: sorted(_numbers(box[axis], 2, 2)) for axis in ("x", "y") if axis in box}
        return {"box": ends} if ends.get("x") and all(ends.values()) else {}
    if isinstance(lasso := found.get("lasso"), dict):
        corners = {axis: _numbers(lasso.get(axis), 3, _MOST_CORNERS) for axis in ("x", "y")}
        return {"lasso": corners} if 0 < len(corners["x"]) == len(corners["y"]) else {}
    return {}


def part(view: View, *names: str) -> View:
    """Return a view with some fields only; the others have their defaults."""
    return View(**{name: getattr(view, name) for name in names})


def _numbers(found: Any, least: int, most: int) -> list[float]:
    """Return a list of finite numbers; an empty one for anything else."""
    if not isinstance(found, list) or not least <= len(found) <= most:
        return []
    good = all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e300 for n in found)  # noqa: PLR2004
    return [float(n) for n in found] if good and not any(map(math.isnan, found)) else []


def _short(text: str) -> str:
    return text[:_LONGEST_VALUE]


def _there(name: str, columns: Mapping[str, Column]) -> str:
    """Return the name of an existing column; otherwise an empty text."""
    return name if name in columns else ""


def _json(text: str, name: str, notes: list[str]) -> Any:
    """Parse a JSON object; anything else appends a message and is empty."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    notes.append(f"The {name} of this address cannot be read; they were left out.")
    return {}
