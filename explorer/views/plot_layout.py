"""The layout of a plot: axes, legend, colors, and the selection that plotly draws."""

from datetime import UTC, datetime
from typing import Any

from explorer.data.places import Axis
from explorer.state import Selection, View

COLORS = (
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
_MOST_TICKS = 30
_LONGEST_TICK = 40


def layout_of(x: Axis, y: Axis | None, view: View) -> dict[str, Any]:
    """Return axes, legend and the outline of the selection."""
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
    found: dict[str, Any] = {"title": {"text": plain(along.title)}, "automargin": True, "zeroline": False}
    if along.kind == "time":
        return found | {"type": "date"}
    if along.kind == "number":
        return found | ({"type": "log", "exponentformat": "power", "dtick": "D2"} if log else {"type": "linear"})
    step = max(1, -(-len(along.names) // _MOST_TICKS))
    places = list(range(0, len(along.names), step))
    texts = [along.names[n] for n in places]
    short = [text if len(text) <= _LONGEST_TICK else f"{text[: _LONGEST_TICK - 1]}…" for text in texts]
    ends = [-0.6, max(len(along.names), 1) - 0.4]
    return found | {"type": "linear", "range": ends, "tickvals": places, "ticktext": [plain(text) for text in short]}


def _shape(selection: Selection, x: Axis, y: Axis | None) -> dict[str, Any] | None:
    """Return the selection as a shape of plotly; None for single points."""
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


def figure_of(traces: list[Any], layout: dict[str, Any]) -> dict[str, Any]:
    """Return traces and layout as a plotly figure, with the settings that all plots share."""
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
        "colorway": list(COLORS),
        "newselection": {"mode": "immediate"},
    }
    for letter in ("xaxis", "yaxis"):
        layout[letter] = {"gridcolor": "rgba(128,128,128,0.25)", "linecolor": "rgba(128,128,128,0.6)", **layout[letter]}
    return {"data": traces, "layout": {**common, **layout}}


def plain(text: str) -> str:
    """Escape a text, which plotly would read as markup or as a template."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def iso(milliseconds: float) -> str:
    """Return a time in milliseconds since 1970 as plotly writes it (UTC)."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
