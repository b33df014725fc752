"""Rows of results as data frames, and the tables among a result's files."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import polars as pl

from domain.errors import OutputError
from domain.result.rows import FACTS, LISTS, NUMBERS, TIMES

Engine = Literal["pandas", "polars"]
Rows = Iterable[Mapping[str, Any]]

_SUFFIXES = (".parquet", ".csv")
_POLARS_TYPES: dict[str, Any] = (
    {name: pl.String() for name in FACTS}
    | {name: pl.Datetime("us", "UTC") for name in TIMES}
    | {name: pl.Float64() for name in NUMBERS}
    | {name: pl.List(pl.String()) for name in LISTS}
)


def pandas_frame(rows: Rows) -> pd.DataFrame:
    """Return rows of `domain.result.rows` as a pandas data frame; times are in UTC, nested values stay objects."""
    return pd.DataFrame({name: _pandas_column(name, values) for name, values in _columns(rows).items()})


def polars_frame(rows: Rows) -> pl.DataFrame:
    """Return rows of `domain.result.rows` as a polars data frame; a column of several types becomes JSON texts."""
    return pl.DataFrame([_polars_column(name, values) for name, values in _columns(rows).items()])


def tables_among(names: Iterable[str]) -> list[str]:
    """Return the files that are tables."""
    return [name for name in names if Path(name).suffix.lower() in _SUFFIXES]


def read_table(path: Path, engine: Engine) -> pd.DataFrame | pl.DataFrame:
    """Read a table.

    Parameters
    ----------
    path : Path
        A Parquet or CSV file.
    engine : {"pandas", "polars"}
        Library of the returned data frame.

    Raises
    ------
    OutputError
        If it is not a table, or the engine is unknown.
    """
    library: Any = {"pandas": pd, "polars": pl}.get(engine)
    if library is None:
        msg = f"engine={engine!r}: expected 'pandas' or 'polars'."
        raise OutputError(msg)
    if (suffix := path.suffix.lower()) not in _SUFFIXES:
        msg = f"{path.name!r} cannot be read as a table: expected {' or '.join(_SUFFIXES)}. Use path() or open()."
        raise OutputError(msg)
    frame: pd.DataFrame | pl.DataFrame = library.read_parquet(path) if suffix == ".parquet" else library.read_csv(path)
    return frame


def _columns(rows: Rows) -> dict[str, list[Any]]:
    """Return the values of rows by column: facts, then parameters, then outputs; None for missing values."""
    columns: dict[str, list[Any]] = {name: [] for name in FACTS}
    number = 0
    for number, row in enumerate(rows, start=1):
        for name, value in row.items():
            if (column := columns.get(name)) is None:
                column = columns[name] = []
            column.extend([None] * (number - 1 - len(column)))
            column.append(value)
    for column in columns.values():
        column.extend([None] * (number - len(column)))
    order = sorted(columns, key=lambda name: (name not in FACTS, name.startswith("outputs.")))
    return {name: columns[name] for name in order}


def _pandas_column(name: str, values: list[Any]) -> "pd.Series[Any]":
    """Return a column with its fixed type, otherwise with the type of its values."""
    if name in TIMES:
        return pd.Series(pd.to_datetime(values, utc=True), dtype="datetime64[us, UTC]")
    if name in NUMBERS:
        return pd.Series(values, dtype="float64")
    return pd.Series(values, dtype="object") if name in FACTS else pd.Series(values)


def _polars_column(name: str, values: list[Any]) -> pl.Series:
    """Return a column with its fixed type, otherwise with the type of its values."""
    if (dtype := _POLARS_TYPES.get(name)) is not None:
        return pl.Series(name, values, dtype=dtype, strict=False)
    if {type(value) for value in values} <= {int, float, type(None)}:
        kind = pl.Float64() if any(isinstance(value, float) for value in values) else None
        return pl.Series(name, values, dtype=kind, strict=kind is None)
    try:
        return pl.Series(name, values)
    except (TypeError, pl.exceptions.PolarsError, OverflowError):
        return pl.Series(name, [v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pl.String())
