"""Downloads of the listed rows: CSV for spreadsheets, Parquet for programs."""

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

    A text that a spreadsheet would run as a formula is prefixed with an apostrophe; numbers are not changed.
    """
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    safe = frame.drop(ROW, POINT).with_columns(_as_text(name) for name in texts if name not in {ROW, POINT})
    safe = safe.rename({name: _safe_name(name) for name in safe.columns})
    return safe.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ").encode()


def _as_text(name: str) -> pl.Expr:
    """Escape texts that are formulas."""
    cell = pl.col(name)
    return pl.when(cell.str.contains(_FORMULA)).then(pl.concat_str(pl.lit("'"), cell)).otherwise(cell).alias(name)


def _safe_name(name: str) -> str:
    """Escape a column name that is a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
