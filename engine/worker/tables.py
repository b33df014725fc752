"""Checks the declared tables of an analysis: existence, columns and number of rows."""

import csv
from pathlib import Path

from domain.analysis import Analysis
from domain.analysis.tables import PARQUET, check_columns
from domain.errors import OutputError
from domain.result.provenance import TableRows


def checked_tables(analysis: Analysis, results: Path) -> tuple[TableRows, ...]:
    """Count the rows of every declared table.

    Parameters
    ----------
    analysis : Analysis
        Its `tables` are checked.
    results : Path
        Folder of result files.

    Returns
    -------
    tuple of TableRows
        One for each table, in declared order.

    Raises
    ------
    OutputError
        If a table is missing, cannot be read, or its columns are not the fields of its model.
    """
    found = []
    for file, model in analysis.tables.items():
        path = results / file
        if not path.is_file():
            msg = (
                f"`{analysis.name}` declares the table `{file}`, but did not write it. Write it in any case, without "
                "rows if there are none, or remove it from `tables=`."
            )
            raise OutputError(msg, analysis=analysis.name, location=str(path))
        columns, rows = _parquet(path, file) if path.suffix == PARQUET else _csv(path, file)
        check_columns(file, columns, model)
        found.append(TableRows(file=file, rows=rows))
    return tuple(found)


def _parquet(path: Path, file: str) -> tuple[list[str], int]:
    """Return columns and number of rows from the footer of a Parquet file."""
    import pyarrow as pa  # noqa: PLC0415  not imported for analyses without tables
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as table:
            return list(table.schema_arrow.names), table.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = f"The table `{file}` cannot be read as Parquet ({type(error).__name__}): close it before `run` returns."
        raise OutputError(msg, location=str(path)) from None


def _csv(path: Path, file: str) -> tuple[list[str], int]:
    """Return the header, and the number of non-empty lines after it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = (line for line in csv.reader(text) if line)
            return next(lines, []), sum(1 for _ in lines)
    except (csv.Error, OSError, ValueError) as error:
        msg = f"The table `{file}` cannot be read as CSV in UTF-8 ({type(error).__name__}): close it before `run` returns."
        raise OutputError(msg, location=str(path)) from None
