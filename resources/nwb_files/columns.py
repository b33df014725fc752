"""Columns of NWB tables: what they hold, and their values as numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import InputError
from resources.nwb_files.names import input_error

FloatArray = NDArray[np.float64]

NUMBERS = "fiu"
"""NumPy's kinds of floating point and whole numbers."""

_KINDS = {"b": "yes or no", "c": "complex numbers", "M": "dates", "m": "durations", "V": "structures", "S": "text"}
_KINDS |= {"U": "text"}


def stored(column: Any) -> Any:
    """Return the values of a column as the file stores them, without the indices in front of them.

    Parameters
    ----------
    column : hdmf.common.VectorData or VectorIndex
        A column, as ``table[name]`` returns it.

    Returns
    -------
    h5py.Dataset, zarr.Array, ndarray or list
        Not read yet, if the file is open.
    """
    while hasattr(column, "target"):
        column = column.target
    return column.data


def holds(values: Any, *, allowed: str = NUMBERS) -> str | None:
    """Return what stored values are, if they are not numbers.

    Parameters
    ----------
    values : h5py.Dataset, zarr.Array, ndarray or list
        Values as `stored` returns them.
    allowed : str
        NumPy's kinds that count as numbers.

    Returns
    -------
    str or None
        Such as ``text``; None for numbers.
    """
    dtype = values.dtype if hasattr(values, "dtype") else np.asarray(values).dtype
    if not isinstance(dtype, np.dtype):  # hdmf's datasets of references
        return "references"
    if dtype.kind in allowed:
        return None
    if dtype.kind == "O":
        return "text" if isinstance(_first(values), str | bytes) else "objects"
    return _KINDS.get(dtype.kind, "numbers" if dtype.kind in NUMBERS else f"values of type {dtype}")


def _first(values: Any) -> Any:
    """Return the first value; a text if there is none, None if it is a pickle, which is not read from a file."""
    try:
        return np.ravel(values[:1])[0] if len(values) else ""
    except RuntimeError:
        return None


def check_numbers(
    values: Any, *, column: str, table: str, name: str, columns: int | None = None, allowed: str = NUMBERS
) -> None:
    """Raise if a column does not hold numbers in the expected shape.

    Parameters
    ----------
    values : h5py.Dataset, zarr.Array, ndarray or list
        Values as `stored` returns them.
    column, table, name : str
        Column, table and input, for the message.
    columns : int, optional
        Numbers in each entry; None: one.
    allowed : str
        NumPy's kinds that count as numbers.

    Raises
    ------
    InputError
        Saying what the column holds.
    """
    if (found := holds(values, allowed=allowed)) is not None:
        reason = f"holds {found} in column `{column}` of its table `{table}`, and must hold numbers"
        raise input_error(name, reason, "Export the file again")
    shape = tuple(values.shape) if hasattr(values, "shape") else np.shape(values)
    expected = () if columns is None else (columns,)
    if shape[1:] != expected:
        one = "one number" if columns is None else f"{columns} numbers"
        reason = (
            f"holds values of shape {shape} in column `{column}` of its table `{table}`, and must hold {one} in each"
        )
        raise input_error(name, reason, "Export the file again")


def check_complete(values: Any, *, column: str, table: str, name: str) -> None:
    """Raise if a Zarr array lacks chunks, which would read as its fill value; other arrays always have theirs.

    Parameters
    ----------
    values : h5py.Dataset, zarr.Array, ndarray or list
        Values of which none equals the fill value in a whole chunk, such as times.
    column, table, name : str
        Column, table and input, for the message.

    Raises
    ------
    InputError
        With the number of missing chunks.
    """
    expected = getattr(values, "nchunks", None)
    if expected is None or (found := values.nchunks_initialized) >= expected:
        return
    reason = f"lacks {expected - found} of the {expected} chunks of column `{column}` of its table `{table}`"
    raise input_error(name, reason, "Copy the store again, and compare the numbers of files")


def cell(column: Any, row: int, *, label: str, table: str, name: str) -> FloatArray:
    """Read the numbers of one row.

    Parameters
    ----------
    column : hdmf.common.VectorData or VectorIndex
        A column that has passed `check_numbers`.
    row : int
        Number of the row, from 0.
    label, table, name : str
        Column, table and input, for the message.

    Returns
    -------
    ndarray
        As floating point, in the shape that is stored.

    Raises
    ------
    InputError
        If the values cannot be read: a damaged chunk, or a filter that is not installed.
    """
    try:
        return np.asarray(column[row], dtype=np.float64)
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        raise unreadable(error, label=label, table=table, name=name) from error


def unreadable(error: Exception, *, label: str, table: str, name: str) -> InputError:
    """Return the error for values that a library could not read.

    Parameters
    ----------
    error : Exception
        As the library raised it.
    label, table, name : str
        Column, table and input, for the message.
    """
    found = " ".join(str(error).split())[:200] or type(error).__name__
    reason = f"cannot be read in column `{label}` of its table `{table}`: {found}"
    return input_error(name, reason, "The file may be damaged: copy it again and compare sizes, or export it again")
