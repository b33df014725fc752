"""Bounds that units, cells or trials keep or not, and a figure of how many do.

A row is any object with the criteria's columns as attributes. Rows are judged one by one and never look at each other.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_MET, _FAILED, _FORBIDDEN = "#1f6f9f", "#e0a030", "#f3f0ea"
_BINS = 20


@dataclass(frozen=True)
class Criterion:
    """One bound on one measure.

    Attributes
    ----------
    column : str
        The attribute of a row that is judged: a number, or None where the data do not determine it.
    label : str
        The measure's name and unit, as written on an axis.
    lowest, highest : float or None
        The bound: either may be open; a value equal to it is good.
    limit : float or None
        The highest possible value, where a figure ends; None where there is none.
    """

    column: str
    label: str
    lowest: float | None = None
    highest: float | None = None
    limit: float | None = None

    def is_met(self, row: object) -> bool:
        """Tell whether a row keeps the bound; an unknown value does not.

        Parameters
        ----------
        row : object
            Has the criterion's column as an attribute.

        Returns
        -------
        bool
            True when the value is known and within the bound.
        """
        value = getattr(row, self.column)
        if value is None:
            return False
        return (self.lowest is None or value >= self.lowest) and (self.highest is None or value <= self.highest)


def draw_criteria(rows: Sequence[object], criteria: Sequence[Criterion], *, title: str) -> bytes:
    """Draw how each judged measure is distributed, and how many rows fail by it.

    Parameters
    ----------
    rows : sequence of object
        What was judged.
    criteria : sequence of Criterion
        One panel each.
    title : str
        Written above the panels; without rows, nothing else is.

    Returns
    -------
    bytes
        A PNG image, a few tens of kilobytes; the same bytes for the same rows.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second; Figure alone keeps no state between jobs
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    layout = ConstrainedLayoutEngine(wspace=0.08)
    figure = Figure(figsize=(3.1 * max(3, len(criteria)), 2.9), dpi=100, layout=layout)
    if rows:
        figure.suptitle(title, fontsize=11, parse_math=False)  # a title may hold anybody's dollar signs
        panels = figure.subplots(1, len(criteria), squeeze=False)[0]
        passing = [all(criterion.is_met(row) for criterion in criteria) for row in rows]
        for axes, criterion in zip(panels, criteria, strict=True):
            _draw_panel(axes, rows, passing, criterion)
        panels[0].set_ylabel("count")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    else:
        figure.text(0.5, 0.5, title, ha="center", va="center", fontsize=13, color="0.3", parse_math=False)
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    return image.getvalue()


def _draw_panel(axes: Any, rows: Sequence[object], passing: Sequence[bool], criterion: Criterion) -> None:
    """Draw one measure: rows that pass everything below rows that fail something, and the bound."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    values = [getattr(row, criterion.column) for row in rows]
    known = [value for value in values if value is not None]
    bounds = [bound for bound in (criterion.lowest, criterion.highest) if bound is not None]
    top = criterion.limit or 1.05 * max(*known, *bounds, 1e-9, 0)
    met, failed = (
        [v for v, is_passing in zip(values, passing, strict=True) if v is not None and is_passing is wanted]
        for wanted in (True, False)
    )
    labels = ["meets every criterion", "fails at least one"]
    axes.hist([met, failed], bins=_BINS, range=(0, top), stacked=True, color=[_MET, _FAILED], label=labels)
    if criterion.lowest is not None:
        axes.axvspan(0, criterion.lowest, color=_FORBIDDEN, zorder=0)
    if criterion.highest is not None:
        axes.axvspan(criterion.highest, top, color=_FORBIDDEN, zorder=0)
    for bound in bounds:
        axes.axvline(bound, color="0.2", linewidth=1, linestyle="--")
    n_failing = sum(not criterion.is_met(row) for row in rows)
    n_unknown = len(values) - len(known)
    unknown = f", {n_unknown} of them unknown" if n_unknown else ""
    axes.set_title(f"{n_failing} fail{'s' if n_failing == 1 else ''}{unknown}", fontsize=9, color="0.3")
    axes.set(xlabel=criterion.label, xlim=(0, top))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)
