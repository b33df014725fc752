"""Parameter sets compared on the same inputs: for each numeric output, what changes when only the parameters do.

Two results form a pair when they have the same inputs and different parameters. Each set is compared with the most
common one, on the inputs that both have.
"""

from dataclasses import dataclass

import polars as pl

from results_table.columns import Column
from results_table.results_frame import ResultsFrame, quartiles

MOST_SETS = 8
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class ParameterSet:
    """Results with the same parameters.

    Attributes
    ----------
    letter : str
        Its name in the report: A, B, ….
    words : str
        Text of the parameters in which the compared sets differ.
    results : polars.DataFrame
        One row for each set of inputs.
    """

    letter: str
    words: str
    results: pl.DataFrame


@dataclass(frozen=True)
class Difference:
    """One output of one set, compared with the same output of the first set on the inputs that both have.

    Attributes
    ----------
    output : Column
        Column of the numeric output.
    letter : str
        `ParameterSet.letter` of the set that is compared with the first.
    n : int
        Number of inputs for which both sets have a number.
    low, middle, high : float
        Quartiles of the differences (this set minus the first).
    larger, smaller, same : int
        Number of inputs for which the value is larger, smaller and equal.
    """

    output: Column
    letter: str
    n: int
    low: float
    middle: float
    high: float
    larger: int
    smaller: int
    same: int


@dataclass(frozen=True)
class Comparison:
    """Parameter sets compared on the same inputs.

    Attributes
    ----------
    sets : tuple of ParameterSet
        The most common ones, at most `MOST_SETS`.
    left_out : int
        Number of further sets, which are not compared.
    differences : tuple of Difference
        By output, then by set.
    """

    sets: tuple[ParameterSet, ...]
    left_out: int
    differences: tuple[Difference, ...]


def compare(frame: ResultsFrame) -> Comparison:
    """Compare the most common parameter sets.

    Parameters
    ----------
    frame : ResultsFrame
        Rows with inputs, parameters and outputs.

    Returns
    -------
    Comparison
        With fewer than two sets there are no differences.
    """
    names = [c.name for c in frame.parameters if frame.results[c.name].n_unique() > 1]
    if not names:
        return Comparison((), 0, ())
    by_inputs = frame.results.with_columns(pl.col("inputs").list.join("\n"))
    common = by_inputs.group_by(names).len().sort(["len", *names], descending=[True, *[False] * len(names)])
    chosen = common.head(MOST_SETS).drop("len")
    differing = [name for name in names if chosen[name].n_unique() > 1]
    sets = tuple(
        ParameterSet(
            letter,
            ", ".join(f"{frame.columns[name].label} = {_shown(row[name])}" for name in differing),
            _of_set(by_inputs, row),
        )
        for letter, row in zip(_LETTERS, chosen.iter_rows(named=True), strict=False)
    )
    found = [_difference(output, sets[0], other) for output in frame.numbers for other in sets[1:]]
    return Comparison(sets, common.height - len(sets), tuple(one for one in found if one is not None))


def _of_set(results: pl.DataFrame, row: dict[str, object]) -> pl.DataFrame:
    """Return the results with these parameters, one for each inputs."""
    same = [pl.col(name).eq_missing(pl.lit(value)) for name, value in row.items()]
    return results.filter(*same).unique("inputs", keep="first", maintain_order=True)


def _difference(output: Column, first: ParameterSet, other: ParameterSet) -> Difference | None:
    """Compare one output of two sets; None if they have no inputs in common."""
    columns = ["inputs", output.name]
    both = first.results.select(columns).join(other.results.select(columns), on="inputs", suffix=" other")
    by = both[f"{output.name} other"].cast(pl.Float64) - both[output.name].cast(pl.Float64)
    by = by.drop_nulls().filter(by.drop_nulls().is_finite())
    found = quartiles(by)
    if found is None:
        return None
    larger, smaller = int((by > 0).sum()), int((by < 0).sum())
    return Difference(output, other.letter, len(by), *found, larger, smaller, len(by) - larger - smaller)


def _shown(value: object) -> str:
    """Return a parameter value as JSON text."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"
