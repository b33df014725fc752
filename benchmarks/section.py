"""The parts of a section of the benchmark: what it measures, its text, and its targets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def _keep_nothing(figures: Figures) -> None:
    """Let figures that are not complete go."""


@dataclass(frozen=True)
class Options:
    """How much is measured.

    Attributes
    ----------
    rounds : int
        Number of repetitions; medians are shown.
    scale : float
        What the sizes are multiplied with: 1 for the sizes that count, less for a quick look or a test.
    keep : callable
        A long section calls it with what it has so far, so that an interruption does not lose everything.
    """

    rounds: int = 3
    scale: float = 1.0
    keep: Callable[[Figures], None] = _keep_nothing

    def size(self, full: int, *, least: int = 1) -> int:
        """Scale a size."""
        return max(least, round(full * self.scale))


@dataclass(frozen=True)
class Target:
    """The target of one figure, and the measured value.

    Attributes
    ----------
    what, wanted, found : str
        In words, with units.
    met : bool
        Whether the figure is good enough.
    """

    what: str
    wanted: str
    found: str
    met: bool


@dataclass(frozen=True)
class Section:
    """One part of the benchmark, run by itself with ``make bench ONLY=<name>``.

    Attributes
    ----------
    name, title : str
        Its short name, and its heading.
    measure : callable
        Measures; returns figures that JSON can hold, medians and the single rounds.
    as_markdown : callable
        Writes the figures as Markdown, without the heading.
    targets : callable
        Compares the figures with their targets.
    draw : callable, optional
        Draws the figures into a folder, where the text of `as_markdown` shows them.
    """

    name: str
    title: str
    measure: Callable[[Options], Figures]
    as_markdown: Callable[[Figures], str]
    targets: Callable[[Figures], list[Target]]
    draw: Callable[[Figures, Path], None] | None = None
