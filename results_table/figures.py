"""The figures of a report, as PNG images. They use Matplotlib's `Figure` and not `pyplot`, which keeps global state."""

import io
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from domain.result.rows import DONE, FAILED, OUTDATED
from results_table.columns import Column
from results_table.pairs import Comparison, Difference
from results_table.results_frame import ResultsFrame

MOST_PANELS = 24
_PANELS_A_ROW, _PANEL = 4, (2.6, 2.1)
_COLORS = {DONE: "#0072b2", OUTDATED: "#999999", FAILED: "#d55e00"}
_SETS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#f0e442")
_TEXT, _LONGEST, _BINS = 8, 34, 30
_WIDTHS = {
    timedelta(minutes=1): "a minute",
    timedelta(minutes=10): "10 minutes",
    timedelta(hours=1): "an hour",
    timedelta(hours=6): "6 hours",
    timedelta(days=1): "a day",
    timedelta(days=7): "a week",
    timedelta(days=28): "4 weeks",
}
"""Possible widths of a bar."""
_MOST_BARS = 60
_YEARS = (1970, 2200)
"""Times outside are damaged values, and would leave no space for the others."""
_LARGEST = 1e100
"""Larger numbers are not drawn: Matplotlib's arithmetic overflows with them."""
_STYLE: dict[str, Any] = {"parse_math": False}  # names may contain dollar signs


def draw_outcomes(frame: ResultsFrame) -> bytes:
    """Draw the number of results in each state, and the frequency of each outcome."""
    states = [(state, frame.every.filter(pl.col("state") == state).height) for state in (DONE, OUTDATED, FAILED)]
    panels = [("state", states), *((column.label, found) for column, found in frame.outcomes())]
    figure, axes = _grid(len(panels[:MOST_PANELS]))
    for ax, (name, found) in zip(axes, panels, strict=False):
        colors = [_COLORS.get(word, _COLORS[DONE]) if name == "state" else _COLORS[DONE] for word, _ in found]
        words = [_cut(word) for word, _ in found]
        bars = ax.barh(range(len(found)), [count for _, count in found], color=colors)
        ax.bar_label(bars, labels=[f"{count:,}" for _, count in found], fontsize=_TEXT, padding=2)
        ax.set_yticks(range(len(found)), words, fontsize=_TEXT, **_STYLE)
        ax.invert_yaxis()
        ax.margins(x=0.25)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        ax.set_xlabel("rows" if name == "state" else "results", fontsize=_TEXT)
        _finish(ax, name)
    return _png(figure)


def draw_distributions(frame: ResultsFrame) -> bytes:
    """Draw a histogram of each numeric output."""
    found = [(c, _numbers(frame.results[c.name])) for c in frame.numbers[:MOST_PANELS]]
    figure, axes = _grid(len(found))
    for ax, (column, numbers) in zip(axes, found, strict=False):
        _histogram(ax, numbers)
        ax.set_xlabel(_cut(_unit(column) or "value"), fontsize=_TEXT, **_STYLE)
        _finish(ax, _field(column))
    return _png(figure)


def draw_comparison(frame: ResultsFrame, comparison: Comparison) -> bytes:
    """Draw each numeric output by parameter set, and below it the differences from the first set on the same inputs."""
    outputs = frame.numbers[: MOST_PANELS // 2]
    columns = min(_PANELS_A_ROW, len(outputs))
    rows = math.ceil(len(outputs) / columns)
    figure = Figure(figsize=(_PANEL[0] * max(2, columns), 2 * _PANEL[1] * rows), dpi=100, layout="constrained")
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for number, output in enumerate(outputs):
        row, column = 2 * (number // columns), number % columns
        _boxes(axes[row, column], output, comparison)
        of_output = [d for d in comparison.differences if d.output.name == output.name]
        _differences(axes[row + 1, column], output, comparison, of_output)
    for number in range(len(outputs), rows * columns):
        for ax in (
            axes[2 * (number // columns), number % columns],
            axes[2 * (number // columns) + 1, number % columns],
        ):
            ax.set_axis_off()
    return _png(figure)


def draw_throughput(frame: ResultsFrame) -> bytes:
    """Draw the number of ended jobs over time, and the durations of results."""
    figure = Figure(figsize=(4 * _PANEL[0], 1.2 * _PANEL[1]), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    _jobs_over_time(left, frame.every)
    durations = _numbers(frame.results["duration_s"])
    _histogram(right, durations)
    right.set_xlabel("s", fontsize=_TEXT)
    _finish(right, "duration of a result")
    return _png(figure)


def _jobs_over_time(ax: Any, every: pl.DataFrame) -> None:
    times = every.filter(pl.col("ended").dt.year().is_between(*_YEARS))["ended", "state"]
    width = next(iter(_WIDTHS))
    if times.height:
        first: Any = times["ended"].min()
        last: Any = times["ended"].max()
        width = next((w for w in _WIDTHS if (last - first) / w <= _MOST_BARS), [*_WIDTHS][-1])
        ended = times.with_columns(pl.col("ended").dt.truncate(width))
        below = dict.fromkeys(ended["ended"].unique().to_list(), 0)
        for state in (DONE, OUTDATED, FAILED):
            counted = ended.filter(pl.col("state") == state)["ended"].value_counts().rows()
            heights = [below[time] for time, _ in counted]
            if counted:
                x, y = [time for time, _ in counted], [count for _, count in counted]
                ax.bar(x, y, bottom=heights, width=0.9 * width, align="edge", color=_COLORS[state], label=state)
            below |= {time: below[time] + count for time, count in counted}
        locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]  # Matplotlib's own
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        ax.set_xlim(first - 3 * width, last + 4 * width)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend(fontsize=_TEXT, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    else:
        _nothing(ax)
    ax.set_xlabel("time of the end (UTC)", fontsize=_TEXT)
    ax.set_ylabel(f"jobs in {_WIDTHS[width]}", fontsize=_TEXT)
    _finish(ax, "jobs that ended")


def _boxes(ax: Any, output: Column, comparison: Comparison) -> None:
    """Draw the numbers of an output, a box for each set."""
    numbers = [_numbers(one.results[output.name]) for one in comparison.sets]
    if any(len(found) for found in numbers):
        drawn = ax.boxplot(numbers, widths=0.6, patch_artist=True, showfliers=False, medianprops={"color": "black"})
        for box, color in zip(drawn["boxes"], _SETS, strict=False):
            box.set(facecolor=color, alpha=0.7, linewidth=0.8)
    else:
        _nothing(ax)
    labels = [f"{one.letter}\n{len(found):,}" for one, found in zip(comparison.sets, numbers, strict=True)]
    ax.set_xticks(range(1, len(labels) + 1), labels, fontsize=_TEXT - 1)
    ax.set_xlabel("parameter set; number of results", fontsize=_TEXT)
    ax.set_ylabel(_cut(_unit(output) or "value"), fontsize=_TEXT, **_STYLE)
    _finish(ax, _field(output))


def _differences(ax: Any, output: Column, comparison: Comparison, found: Sequence[Difference]) -> None:
    """Draw median and quartiles of the differences from the first set."""
    others = [one.letter for one in comparison.sets[1:]]
    ax.axhline(0, color="0.6", linewidth=0.8)
    for one in found:
        if max(abs(one.low), abs(one.high)) > _LARGEST:
            continue
        place = others.index(one.letter) + 1
        color = _SETS[place % len(_SETS)]
        error = [[one.middle - one.low], [one.high - one.middle]]
        ax.errorbar([place], [one.middle], yerr=error, fmt="o", color=color, capsize=4, markersize=5)
    if not found:
        _nothing(ax)
    counts = {one.letter: one.n for one in found}
    first = comparison.sets[0].letter
    labels = [f"{letter}-{first}\n{counts.get(letter, 0):,}" for letter in others]
    ax.set_xticks(range(1, len(others) + 1), labels, fontsize=_TEXT - 1)
    ax.set_xlim(0.4, len(others) + 0.6)
    ax.set_xlabel("difference; number of pairs", fontsize=_TEXT)
    ax.set_ylabel(_cut(f"difference ({_unit(output)})" if _unit(output) else "difference"), fontsize=_TEXT, **_STYLE)
    _finish(ax, "on the same inputs")


def _unit(column: Column) -> str:
    return "" if column.unit == "no unit" else column.unit


def _histogram(ax: Any, numbers: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """Draw a histogram with the median and the number of values."""
    ax.set_ylabel(f"results, n = {len(numbers):,}", fontsize=_TEXT)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    if not len(numbers):
        _nothing(ax)
        return
    low, high = float(numbers.min()), float(numbers.max())
    edges = np.linspace(low, high, _BINS + 1)
    if not np.all(np.diff(edges) > 0):  # all equal, or too close together for numbers of this size
        pad = max(0.05, abs(low) / 1000)
        edges = np.array([low - pad, high + pad])
        ax.set_xlim(low - 10 * pad, high + 10 * pad)
    ax.hist(numbers, bins=edges, color=_COLORS[DONE])
    ax.axvline(float(np.median(numbers)), color="black", linewidth=1, linestyle="--")


def _nothing(ax: Any) -> None:
    """Write into an empty panel that there is nothing to draw."""
    ax.text(0.5, 0.5, "no values", ha="center", va="center", fontsize=_TEXT, color="0.5", transform=ax.transAxes)


def _grid(number: int) -> tuple[Figure, list[Any]]:
    """Return a figure with this number of panels, four in a row."""
    columns = max(1, min(_PANELS_A_ROW, number))
    rows = max(1, math.ceil(number / columns))
    figure = Figure(figsize=(_PANEL[0] * max(2, columns), _PANEL[1] * rows), dpi=100, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[number:]:
        ax.set_axis_off()
    return figure, axes


def _finish(ax: Any, title: str) -> None:
    """Apply the common style to all panels."""
    ax.set_title(_cut(title), fontsize=_TEXT + 1, **_STYLE)
    ax.tick_params(labelsize=_TEXT - 1)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _numbers(values: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the values that are not null and within the range of an axis."""
    numbers = values.drop_nulls().cast(pl.Float64)
    return numbers.filter(numbers.abs() <= _LARGEST).to_numpy()


def _field(column: Column) -> str:
    """Return the name of a field without its prefix."""
    return column.name.partition(".")[2]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _png(figure: Figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    return image.getvalue()
