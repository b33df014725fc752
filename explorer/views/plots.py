"""Scatter plots and histograms as plotly figures: plain values, packed if there are many."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from explorer.data.analysis_data import Table
from explorer.data.columns import POINT
from explorer.data.places import Axis, Numbers, axis, drawable
from explorer.state import View
from explorer.views.plot_layout import COLORS, figure_of, iso, layout_of, plain

MOST_DRAWN = 100_000
"""Largest number of drawn points; of more, a random sample is drawn."""

_MOST_PLAIN = 3000
"""Up to this number of points, WebGL is not used: some browsers and remote desktops lack it."""

_MOST_BINS = 80
_MOST_COLORS = 10
_OTHERS, _NONE = "all others", "no value"
_GRAY = "#a0a0a0"
_SMALL, _LARGE = 2000, 20_000


@dataclass(frozen=True)
class Drawing:
    """A plotly figure and the note above it.

    Attributes
    ----------
    figure : dict
        ``data`` and ``layout``, as `dash.dcc.Graph` takes them.
    note : str
        How many points are drawn, and how many are left out.
    """

    figure: dict[str, Any]
    note: str


def draw(table: Table, frame: pl.DataFrame, view: View) -> Drawing:
    """Draw rows as a scatter plot, or as a histogram if the view has one axis.

    Parameters
    ----------
    table : Table
        The unfiltered table: it defines titles and ranges of the axes.
    frame : polars.DataFrame
        The rows to draw.
    view : View
        Axes and color; a view that fits the table.

    Returns
    -------
    Drawing
        Empty if the view has no axis; the note then says what to do.
    """
    if not view.x:
        return Drawing(
            figure_of([], {"xaxis": {"visible": False}, "yaxis": {"visible": False}}), "Choose what to draw."
        )
    x_axis, y_axis = axis(table, view.x), axis(table, view.y) if view.y else None
    x = x_axis.of(frame)
    good = drawable(x, log=_is_log(x_axis, requested=view.log_x))
    if y_axis is not None:
        good &= drawable(y_axis.of(frame), log=_is_log(y_axis, requested=view.log_y))
    rows = frame.filter(pl.Series(good, dtype=pl.Boolean))
    note = f"{rows.height:,} results drawn."
    if y_axis is None:
        traces, more = _histogram(table, rows, x_axis, view)
    else:
        if rows.height > MOST_DRAWN:
            note = f"{MOST_DRAWN:,} of {rows.height:,} results drawn, chosen at random; a selection counts all of them."
            rows = rows.sample(MOST_DRAWN, seed=0)
        traces, more = _scatter(table, rows, (x_axis, y_axis), view)
    if left := int(frame.height - good.sum()):
        log = " or none above zero on a logarithmic axis" if view.log_x or view.log_y else ""
        note += f" {left:,} have no value on an axis{log} and are left out."
    return Drawing(figure_of(traces, layout_of(x_axis, y_axis, view)), f"{note}{more}")


def _scatter(table: Table, rows: pl.DataFrame, axes: tuple[Axis, Axis], view: View) -> tuple[list[Any], str]:
    """Draw points, one trace for each color."""
    x, y, ids = axes[0].of(rows), axes[1].of(rows), rows[POINT].fill_null(-1).to_numpy()
    size = 8 if rows.height < _SMALL else 5 if rows.height < _LARGE else 3
    texts = _texts(rows, axes)
    hover = f"{_hover(axes[0], 'x')}<br>{_hover(axes[1], 'y')}<extra></extra>"

    def trace(which: npt.NDArray[np.bool_], marker: dict[str, Any], name: str) -> dict[str, Any]:
        return {
            "type": "scatter" if rows.height <= _MOST_PLAIN else "scattergl",
            "mode": "markers",
            "name": plain(name),
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
            traces.append(trace(~there, {"color": _GRAY}, _NONE))
        return [one | {"showlegend": False} for one in traces], "" if there.all() else " Gray: no value of the color."
    groups, note = _groups(rows, view.colour)
    return [trace(which, {"color": color}, name) for name, color, which in groups], note


def _histogram(table: Table, rows: pl.DataFrame, along: Axis, view: View) -> tuple[list[Any], str]:
    """Draw bars of counts, stacked by color."""
    values = along.of(rows)
    edges = _edges(values, along, log=_is_log(along, requested=view.log_x))
    by_text = bool(view.colour) and table.columns[view.colour].kind == "text"
    groups, note = _groups(rows, view.colour if by_text else "")
    if view.colour and not by_text:
        note = f" Only texts color a histogram; {table.columns[view.colour].long_title} is not a text."
    ends = np.stack([edges[:-1], edges[1:]], axis=1) if len(edges) > 1 else np.empty((0, 2))
    middle, width = ends.mean(axis=1), np.diff(edges)
    traces = [
        {
            "type": "bar",
            "name": plain(name),
            "x": _times(middle) if along.kind == "time" else packed(middle),
            "y": np.histogram(values[which], edges)[0].tolist() if len(edges) > 1 else [],
            "width": packed(width * (0.9 if along.kind == "text" else 1.0)),
            "customdata": ends.tolist(),
            "marker": {"color": color},
            "hovertemplate": "%{y} results<extra></extra>",
        }
        for name, color, which in groups
    ]
    return traces, note


def _edges(values: Numbers, along: Axis, *, log: bool) -> Numbers:
    """Return the edges of the bins of a histogram."""
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
    """Group rows by the texts of a column, the most frequent first; rare texts form one group."""
    if not by:
        return [("results", COLORS[0], np.ones(rows.height, dtype=np.bool_))], ""
    texts = rows[by].cast(pl.String).fill_null(_NONE)
    common = texts.value_counts(sort=True)[by].to_list()
    first = common if len(common) <= _MOST_COLORS else common[: _MOST_COLORS - 1]
    groups = [(name, COLORS[n], (texts == name).to_numpy()) for n, name in enumerate(sorted(first))]
    if len(first) == len(common):
        return groups, ""
    groups.append((_OTHERS, _GRAY, (~texts.is_in(first)).to_numpy()))
    return (
        groups,
        f" {len(common):,} values: the {len(first)} most frequent have their own color.",
    )


def packed(values: npt.NDArray[Any]) -> dict[str, str]:
    """Return numbers in the binary form of plotly.js, which takes a tenth of the time of JSON."""
    return {"dtype": "f8", "bdata": base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()}


def _times(values: Numbers) -> list[str]:
    """Return times in the form of plotly: UTC, without a time zone."""
    return [str(text) for text in np.datetime_as_string(values.astype("int64").astype("datetime64[ms]"))]


def _time_bar(values: Numbers) -> dict[str, Any]:
    """Write dates beside a color scale."""
    if not len(values):
        return {}
    ticks = np.linspace(values.min(), values.max(), 5)
    return {"tickvals": ticks.tolist(), "ticktext": [iso(tick)[:16] for tick in ticks]}


def _is_log(along: Axis, *, requested: bool) -> bool:
    """Return whether an axis is logarithmic: only axes of numbers can be."""
    return requested and along.kind == "number"


def _hover(along: Axis, letter: str) -> str:
    """Return the hover text of an axis. Texts are numbers in the data, so they are passed separately."""
    if along.kind == "text":
        return "%{text}"
    return f"{plain(along.title)}: %{{{letter}}}"


def _texts(rows: pl.DataFrame, axes: tuple[Axis, Axis]) -> pl.Series | None:
    """Return the hover texts of points on axes of texts; None without such an axis, or for too many points."""
    names = list(dict.fromkeys(one.name for one in axes if one.kind == "text"))
    if not names or rows.height > _LARGE:
        return None
    return pl.Series(
        [", ".join(plain(str(part)) for part in row) for row in rows.select(names).iter_rows()], dtype=pl.String
    )
