"""Positions of rows in a plot: values of any type as numbers on an axis, and the rows in a box or lasso.

Texts are numbered alphabetically over the whole table, so that a selection does not depend on the filters. Times are
milliseconds since 1970.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from explorer.data.analysis_data import Table
from explorer.data.columns import POINT, ROW
from explorer.state import Selection, View

_SPREAD = 0.5
"""Results with equal texts are spread over half of the space of the text on the axis."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """An axis of a plot.

    Attributes
    ----------
    name, title : str
        Name and title of its column.
    kind : str
        ``text``, ``number`` or ``time``.
    names : list of str
        Texts, by position on the axis.
    """

    name: str
    title: str
    kind: str
    names: list[str]

    def of(self, frame: pl.DataFrame) -> Numbers:
        """Return the position of each row; NaN if it has no value."""
        cell = frame[self.name]
        if self.kind == "time":
            return cell.dt.timestamp("ms").cast(pl.Float64).fill_null(float("nan")).to_numpy()
        if self.kind == "number":
            return cell.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        spread = ((frame[POINT] % 1000) / 1000 - 0.5).fill_null(0.0) * _SPREAD
        numbers = dict(zip(self.names, map(float, range(len(self.names))), strict=True))
        places = cell.cast(pl.String).replace_strict(numbers, default=None, return_dtype=pl.Float64)
        return (places + spread).fill_null(float("nan")).to_numpy()


def axis(table: Table, name: str) -> Axis:
    """Return the axis of a column."""
    column = table.columns[name]
    texts = table.frame[name].cast(pl.String).drop_nulls().unique().sort().to_list() if column.kind == "text" else []
    return Axis(name, column.long_title, column.kind, texts)


def drawable(values: Numbers, *, log: bool) -> npt.NDArray[np.bool_]:
    """Return which values can be drawn: finite ones, on a logarithmic axis only those above zero."""
    finite = np.isfinite(values)
    return finite & (np.where(finite, values, 1.0) > 0) if log else finite


def chosen(table: Table, frame: pl.DataFrame, view: View) -> pl.DataFrame:
    """Return the selected rows; all rows without a selection.

    Parameters
    ----------
    table : Table
        The unfiltered table, which determines the numbers of texts.
    frame : polars.DataFrame
        Rows of the table, after filters.
    view : View
        Its selection and axes are used.
    """
    selection = view.selection
    if "rows" in selection:
        return frame.filter(pl.col(ROW).is_in(selection["rows"]))
    if not selection or not view.x:
        return frame
    x = axis(table, view.x).of(frame)
    y = axis(table, view.y).of(frame) if view.y else None
    return frame.filter(pl.Series(_within(selection, x, y, view)))


def _within(selection: Selection, x: Numbers, y: Numbers | None, view: View) -> npt.NDArray[np.bool_]:
    """Return which positions are in a box or lasso."""
    if "box" in selection:
        ends = selection["box"]
        inside: npt.NDArray[np.bool_] = (x >= ends["x"][0]) & (x <= ends["x"][1])
        return inside & (y >= ends["y"][0]) & (y <= ends["y"][1]) if y is not None and "y" in ends else inside
    if y is None:
        return np.ones(len(x), dtype=np.bool_)
    good: npt.NDArray[np.bool_] = drawable(x, log=view.log_x) & drawable(y, log=view.log_y)
    corners = selection["lasso"]
    found = np.zeros(len(x), dtype=np.bool_)
    found[good] = _in_polygon(
        _scaled(x[good], log=view.log_x),
        _scaled(y[good], log=view.log_y),
        _scaled(np.array(corners["x"]), log=view.log_x),
        _scaled(np.array(corners["y"]), log=view.log_y),
    )
    return found


def _scaled(values: Numbers, *, log: bool) -> Numbers:
    """Return values as positions on the screen, where the edges of a lasso are straight."""
    return np.log10(np.maximum(values, 1e-300)) if log else values


def _in_polygon(x: Numbers, y: Numbers, corners_x: Numbers, corners_y: Numbers) -> npt.NDArray[np.bool_]:
    """Return which points are in a polygon: a ray to the right crosses its edges an odd number of times."""
    inside = np.zeros(len(x), dtype=np.bool_)
    ends = zip(corners_x, corners_y, np.roll(corners_x, 1), np.roll(corners_y, 1), strict=True)
    for x_1, y_1, x_2, y_2 in ends:
        if y_1 != y_2:
            crosses = (y_1 > y) != (y_2 > y)
            inside ^= crosses & (x < (x_2 - x_1) * (y - y_1) / (y_2 - y_1) + x_1)
    return inside
