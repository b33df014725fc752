"""The rows of a results table that a report shows, and which columns can be counted or drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from domain.result.rows import DONE, FAILED, OUTDATED
from domain.result.search_entries import OUTPUTS, PARAMETERS
from engine.discovery.analyses import AnalysisEntry
from results_table.columns import Column, columns_of

_FEW = 12
"""Largest number of values of an outcome; a text with more values identifies results instead of grouping them."""


@dataclass(frozen=True)
class ResultsFrame:
    """The rows and columns of a report.

    Attributes
    ----------
    every : polars.DataFrame
        All rows of the results table.
    results : polars.DataFrame
        Results of the current code; if there are none, the latest result of each job.
    columns : dict of Column
        All columns by name.
    are_current : bool
        Whether ``results`` are of the current code.
    """

    every: pl.DataFrame
    results: pl.DataFrame
    columns: dict[str, Column]
    are_current: bool

    @property
    def failures(self) -> pl.DataFrame:
        """Rows of failed jobs."""
        return self.every.filter(pl.col("state") == FAILED)

    @property
    def numbers(self) -> list[Column]:
        """Columns of numeric outputs."""
        return [c for c in self.of(OUTPUTS) if c.kind in {"int64", "float64"}]

    @property
    def parameters(self) -> list[Column]:
        """Columns of all parameters."""
        return self.of(PARAMETERS)

    def of(self, prefix: str) -> list[Column]:
        """Return the columns of parameters or outputs."""
        return [c for c in self.columns.values() if c.name.startswith(f"{prefix}.")]

    def outcomes(self) -> list[tuple[Column, list[tuple[str, int]]]]:
        """Return the outputs that are booleans or texts with few values, and the count of each value."""
        words = [c for c in self.of(OUTPUTS) if c.kind in {"string", "bool"}]
        counted = [(c, _counts(self.results[c.name])) for c in words]
        return [(c, found) for c, found in counted if 0 < len(found) <= _FEW]


def frame_of(entry: AnalysisEntry, table: pa.Table) -> ResultsFrame:
    """Return the rows and columns of a report.

    Parameters
    ----------
    entry : AnalysisEntry
        Its models define the columns, and its code version which results are current.
    table : pyarrow.Table
        Its results table, the latest results first.
    """
    columns = {c.name: c for c in columns_of(entry.analysis)}
    every = pl.DataFrame(pl.from_arrow(table)).select([name for name in columns if name in table.column_names])
    current = every.filter(pl.col("state") == DONE)
    if current.height:
        return ResultsFrame(every, current, columns, are_current=True)
    latest = every.filter(pl.col("state") == OUTDATED).unique("job_key", keep="first", maintain_order=True)
    return ResultsFrame(every, latest, columns, are_current=not latest.height)


def _counts(values: pl.Series) -> list[tuple[str, int]]:
    counted = values.drop_nulls().value_counts().rows()
    return sorted(((_word(value), count) for value, count in counted), key=lambda pair: (-pair[1], pair[0]))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def quartiles(values: pl.Series) -> tuple[float, float, float] | None:
    """Return the quartiles of some numbers; None without any."""
    found: Sequence[float | None] = [values.drop_nulls().quantile(q, "linear") for q in (0.25, 0.5, 0.75)]
    low, middle, high = found
    return None if low is None or middle is None or high is None else (low, middle, high)
