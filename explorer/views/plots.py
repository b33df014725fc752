"""Scatter plots and histograms, as plotly takes them: plain values, packed where there are many."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from explorer.data.analysis_data import Table
from explorer.data.columns import POINT
from explorer.data.places import Axis, Numbers, axis, drawable
from explorer.state import Selection, View

MOST_DRAWN = 100_000
"""Of more points than this some are drawn, by chance."""

_MOST_PLAIN = 3000
"""Up to so many points are drawn without WebGL, which some browsers and remote desktops lack."""

_MOST_BINS = 80
_MOST_COLOURS = 10
_MOST_TICKS = 30
_LONGEST_TICK = 40
_OTHERS, _NONE = "all others", "no value"
_COLOURS = (
    "#4c78a8",
    "#f58518",
    "#54a24b",
    "#b279a2",
    "#e45756",
    "#72b7b2",
    "#9d755d",
    "#eeca3b",
    "#ff9da6",
    "#8c8c8c",
)
_GREY = "#a0a0a0"
_SMALL, _LARGE = 2000, 20_000


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes
    ----------
    figure : dict
        Data and layout.
    note : str
        How many points are drawn, and what is not.
    """

    figure: dict[str, Any]
    note: str


def draw(table: Table, frame: pl.DataFrame, view: View) -> Drawing:
    """Draw rows.

    Parameters
    ----------
    table : Table
        The whole table.
    frame : polars.DataFrame
        The rows to draw.
    view : View
        Axes and colour; a view that fits the table.

    Returns
    -------
    Drawing
        Without any axis, an empty one whose note says what to do.
    """
    if not view.x:
        return Drawing(_figure([], {"xaxis": {"visible": False}, "yaxis": {"visible": False}}), "Choose what to draw.")
    x_axis, y_axis = axis(table, view.x), axis(table, view.y) if view.y else None
    x = x_axis.of(frame)
    good = drawable(x, log=_is_log(x_axis, view.log_x))
    if y_axis is not None:
        good &= drawable(y_axis.of(frame), log=_is_log(y_axis, view.log_y))
    rows = frame.filter(pl.Series(good, dtype=pl.Boolean))
    note = f"{rows.height:,} results drawn."
    if y_axis is None:
        traces, more = _histogram(table, rows, x_axis, view)
    else:
        if rows.height > MOST_DRAWN:
            note = f"{MOST_DRAWN:,} of {rows.height:,} results drawn, chosen by chance; a selection counts all of them."
            rows = rows.sample(MOST_DRAWN, seed=0)
        traces, more = _scatter(table, rows, (x_axis, y_axis), view)
    if left := int(frame.height - good.sum()):
        log = " or none above zero on a logarithmic axis" if view.log_x or view.log_y else ""
        note += f" {left:,} have no value on an axis{log} and are left out."
    return Drawing(_figure(traces, _layout(x_axis, y_axis, view)), f"{note}{more}")


def _scatter(table: Table, rows: pl.DataFrame, axes: tuple[Axis, Axis], view: View) -> tuple[list[Any], str]:
    """Draw points, one trace for each colour."""
    x, y, ids = axes[0].of(rows), axes[1].of(rows), rows[POINT].fill_null(-1).to_numpy()
    size = 8 if rows.height < _SMALL else 5 if rows.height < _LARGE else 3
    texts = _texts(rows, axes)
    hover = f"{_hover(axes[0], 'x')}<br>{_hover(axes[1], 'y')}<extra></extra>"

    def trace(which: npt.NDArray[np.bool_], marker: dict[str, Any], name: str) -> dict[str, Any]:
        return {
            "type": "scatter" if rows.height <= _MOST_PLAIN else "scattergl",
            "mode": "markers",
            "name": _plain(name),
            "x": _times(x[which]) if axes[0].kind == "time" else packed(x[which]),
            "y": _times(y[which]) if axes[1].kind == "time" else packed(y[which]),
            "customdata": packed(ids[which]),
            "marker": {"size": size, "opacity": 0.75, **marker},
            "hovertemplate": hover,
            **({} if texts is None else {"text": texts.filter(pl.Series(which)).to_list()}),
        }

    if view.colour and table.columns[view.colour].kind != "text":
        by = axis(table, view.colour)
        values = by.of(rows)
        there = np.isfinite(values)
        bar: dict[str, Any] = {
            "colorscale": "Viridis",
            "showscale": True,
            "colorbar": {"title": {"text": by.title, "side": "right"}},
        }
        bar["colorbar"] |= _time_bar(values[there]) if by.kind == "time" else {}
        traces = [trace(there, bar | {"color": packed(values[there])}, by.title)]
        if not there.all():
            traces.append(trace(~there, {"color": _GREY}, _NONE))
        return [one | {"showlegend": False} for one in traces], "" if there.all() else " Grey: no value of the colour."
    groups, note = _groups(rows, view.colour)
    return [trace(which, {"color": colour}, name) for name, colour, which in groups], note


def _histogram(table: Table, rows: pl.DataFrame, along: Axis, view: View) -> tuple[list[Any], str]:
    """Draw bars of counts, stacked by colour."""
    values = along.of(rows)
    edges = _edges(values, along, log=_is_log(along, view.log_x))
    by_text = bool(view.colour) and table.columns[view.colour].kind == "text"
    groups, note = _groups(rows, view.colour if by_text else "")
    if view.colour and not by_text:
        note = f" A histogram is coloured by texts only, and {table.columns[view.colour].long_title} is none."
    ends = np.stack([edges[:-1], edges[1:]], axis=1) if len(edges) > 1 else np.empty((0, 2))
    middle, width = ends.mean(axis=1), np.diff(edges)
    traces = [
        {
            "type": "bar",
            "name": _plain(name),
            "x": _times(middle) if along.kind == "time" else packed(middle),
            "y": np.histogram(values[which], edges)[0].tolist() if len(edges) > 1 else [],
            "width": packed(width * (0.9 if along.kind == "text" else 1.0)),
            "customdata": ends.tolist(),
            "marker": {"color": colour},
            "hovertemplate": "%{y} results<extra></extra>",
        }
        for name, colour, which in groups
    ]
    return traces, note


def _edges(values: Numbers, along: Axis, *, log: bool) -> Numbers:
    """Return the ends of a histogram's bins."""
    if along.kind == "text":
        return np.arange(len(along.names) + 1, dtype=np.float64) - 0.5
    if not len(values):
        return np.empty(0)
    scaled = np.log10(values) if log else values
    if scaled.min() == scaled.max():
        edges = scaled[0] + np.array([-0.5, 0.5])
    else:
        number = len(np.histogram_bin_edges(scaled[:10_000], "sqrt")) - 1
        edges = np.linspace(scaled.min(), scaled.max(), min(max(number, 10), _MOST_BINS) + 1)
    return np.asarray(10.0**edges if log else edges, dtype=np.float64)


def _groups(rows: pl.DataFrame, by: str) -> tuple[list[tuple[str, str, npt.NDArray[np.bool_]]], str]:
    """Part rows by the texts of a column, the commonest first; the rare ones are one group."""
    if not by:
        return [("results", _COLOURS[0], np.ones(rows.height, dtype=np.bool_))], ""
    texts = rows[by].cast(pl.String).fill_null(_NONE)
    common = texts.value_counts(sort=True)[by].to_list()
    first = common if len(common) <= _MOST_COLOURS else common[: _MOST_COLOURS - 1]
    groups = [(name, _COLOURS[n], (texts == name).to_numpy()) for n, name in enumerate(sorted(first))]
    if len(first) == len(common):
        return groups, ""
    groups.append((_OTHERS, _GREY, (~texts.is_in(first)).to_numpy()))
    return (
        groups,
        f" {len(common):,} different colours: the {len(first)} most frequent values have a color of their own.",
    )


def packed(values: npt.NDArray[Any]) -> dict[str, str]:
    """Pack numbers as plotly.js reads them: a tenth of the time that JSON takes."""
    return {"dtype": "f8", "bdata": base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()}


def iso(milliseconds: float) -> str:
    """Return a time as plotly writes it."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _times(values: Numbers) -> list[str]:
    """Return times as plotly takes them: without a zone, which is UTC here."""
    return [str(text) for text in np.datetime_as_string(values.astype("int64").astype("datetime64[ms]"))]


def _time_bar(values: Numbers) -> dict[str, Any]:
    """Write dates beside a scale of colours."""
    if not len(values):
        return {}
    ticks = np.linspace(values.min(), values.max(), 5)
    return {"tickvals": ticks.tolist(), "ticktext": [iso(tick)[:16] for tick in ticks]}


def _is_log(along: Axis, wanted: bool) -> bool:  # noqa: FBT001  one wish beside its axis
    """Tell whether an axis is logarithmic: only numbers can be."""
    return wanted and along.kind == "number"


def _hover(along: Axis, letter: str) -> str:
    """Say what stands at a point; texts stand as numbers in the data, so they are given beside it."""
    if along.kind == "text":
        return "%{text}"
    return f"{_plain(along.title)}: %{{{letter}}}"


def _texts(rows: pl.DataFrame, axes: tuple[Axis, Axis]) -> pl.Series | None:
    """Return what is told of each point on axes of texts; None without any, or when there are too many points."""
    names = list(dict.fromkeys(one.name for one in axes if one.kind == "text"))
    if not names or rows.height > _LARGE:
        return None
    return pl.Series(
        [", ".join(_plain(str(part)) for part in row) for row in rows.select(names).iter_rows()], dtype=pl.String
    )


def _plain(text: str) -> str:
    """Keep text from being read as markup or as a template of plotly."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def _layout(x: Axis, y: Axis | None, view: View) -> dict[str, Any]:
    """Return axes, legend and what is selected."""
    count = {"title": {"text": "number of results"}, "type": "log" if view.log_y else "linear"}
    found: dict[str, Any] = {
        "xaxis": _axis_layout(x, log=view.log_x),
        "yaxis": _axis_layout(y, log=view.log_y) if y else count,
        "showlegend": bool(view.colour),
        "legend": {"title": {"text": ""}, "itemsizing": "constant"},
        "barmode": "stack",
        "bargap": 0,
    }
    if shape := _shape(view.selection, x, y):
        found["selections"] = [shape]
    return found


def _axis_layout(along: Axis, *, log: bool) -> dict[str, Any]:
    """Describe one axis."""
    found: dict[str, Any] = {"title": {"text": _plain(along.title)}, "automargin": True, "zeroline": False}
    if along.kind == "time":
        return found | {"type": "date"}
    if along.kind == "number":
        return found | ({"type": "log", "exponentformat": "power", "dtick": "D2"} if log else {"type": "linear"})
    step = max(1, -(-len(along.names) // _MOST_TICKS))
    places = list(range(0, len(along.names), step))
    texts = [along.names[n] for n in places]
    short = [text if len(text) <= _LONGEST_TICK else f"{text[: _LONGEST_TICK - 1]}…" for text in texts]
    ends = [-0.6, max(len(along.names), 1) - 0.4]
    return found | {"type": "linear", "range": ends, "tickvals": places, "ticktext": [_plain(text) for text in short]}


def _shape(selection: Selection, x: Axis, y: Axis | None) -> dict[str, Any] | None:
    """Return what is selected as plotly draws it; single points have no shape."""
    if y is None:
        return None
    to_x, to_y = ((iso if one.kind == "time" else float) for one in (x, y))
    if "box" in selection and "y" in selection["box"]:
        (x0, x1), (y0, y1) = selection["box"]["x"], selection["box"]["y"]
        return {
            "type": "rect",
            "xref": "x",
            "yref": "y",
            "x0": to_x(x0),
            "x1": to_x(x1),
            "y0": to_y(y0),
            "y1": to_y(y1),
        }
    if "lasso" in selection:
        corners = zip(map(to_x, selection["lasso"]["x"]), map(to_y, selection["lasso"]["y"]), strict=True)
        path = "L".join(f"{str(a).replace(' ', '_')},{str(b).replace(' ', '_')}" for a, b in corners)
        return {"type": "path", "xref": "x", "yref": "y", "path": f"M{path}Z"}
    return None


def _figure(traces: list[Any], layout: dict[str, Any]) -> dict[str, Any]:
    """Return data and layout, with what all plots have in common."""
    common = {
        "template": "none",
        "dragmode": "select",
        "clickmode": "event",
        "hovermode": "closest",
        "margin": {"l": 70, "r": 20, "t": 32, "b": 60},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#8a94a0", "activecolor": "#2f6fb0"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#6b7280"},
        "colorway": list(_COLOURS),
        "newselection": {"mode": "immediate"},
    }
    for letter in ("xaxis", "yaxis"):
        layout[letter] = {"gridcolor": "rgba(128,128,128,0.25)", "linecolor": "rgba(128,128,128,0.6)", **layout[letter]}
    return {"data": traces, "layout": {**common, **layout}}
