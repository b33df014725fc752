"""The listed rows as a file to take away: CSV for spreadsheets, Parquet for programs."""

import io

import polars as pl

from explorer.data.columns import POINT, ROW

_FORMULA = r"^[=+\-@\t\r]"


def as_parquet(frame: pl.DataFrame) -> bytes:
    """Return rows as Parquet, with their types."""
    buffer = io.BytesIO()
    frame.drop(ROW, POINT).write_parquet(buffer)
    return buffer.getvalue()


def as_csv(frame: pl.DataFrame) -> bytes:
    """Return rows as CSV (UTF-8).

    A text that a spreadsheet would run as a formula gets an apostrophe before it; numbers stay as they are.
    """
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    safe = frame.drop(ROW, POINT).with_columns(_as_text(name) for name in texts if name not in {ROW, POINT})
    safe = safe.rename({name: _safe_name(name) for name in safe.columns})
    return safe.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ").encode()


def _as_text(name: str) -> pl.Expr:
    """Keep a text from being a formula."""
    cell = pl.col(name)
    return pl.when(cell.str.contains(_FORMULA)).then(pl.concat_str(pl.lit("'"), cell)).otherwise(cell).alias(name)


def _safe_name(name: str) -> str:
    """Keep the name of a column from being a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
