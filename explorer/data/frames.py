"""Results as polars tables with plain columns: texts, numbers, times and booleans."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa

from domain.result.rows import FACTS, NUMBERS, TIMES
from explorer.data.columns import ANALYSIS, POINT, ROW
from resources.explorer_links import SHORT_ID

_POINT_DIGITS = 13
_TIME = pl.Datetime("ms", "UTC")


def from_arrow(table: pa.Table, analysis: str) -> pl.DataFrame:
    """Return a results table as a table of the explorer.

    Parameters
    ----------
    table : pyarrow.Table
        Content of the Parquet file.
    analysis : str
        Name of the analysis, added as a column.

    Returns
    -------
    polars.DataFrame
        Table with all common columns, `ROW` and `POINT`.
    """
    frame = pl.from_arrow(table)
    plain = frame if isinstance(frame, pl.DataFrame) else frame.to_frame()
    return _completed(plain.select(_plain(plain[name]) for name in plain.columns), analysis)


def from_rows(rows: Iterable[Mapping[str, Any]], analysis: str) -> pl.DataFrame:
    """Return rows of `domain.result.rows` as a table of the explorer, as `from_arrow` does."""
    found = list(rows)
    names = list(dict.fromkeys(name for row in found for name in row))
    return _completed(pl.DataFrame([_series(name, [row.get(name) for row in found]) for name in names]), analysis)


def shared(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that all tables have, with equal types."""
    return frame.select(ANALYSIS, *FACTS, ROW, POINT)


def _completed(frame: pl.DataFrame, analysis: str) -> pl.DataFrame:
    """Add missing columns, set the types of common columns, and name the rows."""
    given = {name: pl.col(name) if name in frame.columns else pl.lit(None).alias(name) for name in FACTS}
    facts = [column.cast(_type_of(name), strict=False) for name, column in given.items()]
    others = [pl.col(name) for name in frame.columns if name not in {*FACTS, ANALYSIS, ROW, POINT}]
    full = frame.select(pl.lit(analysis).alias(ANALYSIS), *facts, *others) if frame.width else _empty()
    digits = pl.coalesce("result_id", "job_key").fill_null("")
    failed = pl.concat_str(pl.lit(f"failed-{analysis}-"), pl.col("job_key").fill_null("").str.slice(0, SHORT_ID))
    number = digits.str.slice(0, _POINT_DIGITS).str.to_integer(base=16, strict=False).cast(pl.Float64)
    name = pl.coalesce(pl.col("result_id").str.slice(0, SHORT_ID), failed)
    return full.with_columns(name.alias(ROW), number.alias(POINT))


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema={ANALYSIS: pl.String(), **{name: _type_of(name) for name in FACTS}})


def _type_of(fact: str) -> pl.DataType:
    """Return the type of a common column."""
    return _TIME if fact in TIMES else pl.Float64() if fact in NUMBERS else pl.String()


def _plain(series: pl.Series) -> pl.Series:
    """Convert a column to texts, numbers, times or booleans; other values become JSON text."""
    dtype = series.dtype
    if isinstance(dtype, pl.Decimal):
        return series.cast(pl.Float64)
    if dtype.is_numeric() or dtype in {pl.String, pl.Boolean}:
        return series
    if isinstance(dtype, pl.Datetime):
        there = series if dtype.time_zone else series.dt.replace_time_zone("UTC")
        return there.dt.convert_time_zone("UTC").cast(_TIME)
    if not dtype.is_nested():
        return series.cast(pl.String, strict=False)
    return pl.Series(series.name, [_text(value) for value in series.to_list()], dtype=pl.String)


def _series(name: str, values: list[Any]) -> pl.Series:
    """Return a column of JSON values of any types."""
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, datetime) for value in there):
        return pl.Series(name, values, dtype=_TIME)
    if there and all(isinstance(value, bool) for value in there):
        return pl.Series(name, values, dtype=pl.Boolean)
    if there and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    """Return a value as text; several texts are joined by commas."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, default=str)
