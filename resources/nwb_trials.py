"""Read the trials table of an NWB file: numeric columns, sorted by time.

The analysis knows the meaning of the columns. Files are opened with `resources.nwb.open_nwb`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resources.nwb_files.columns import check_complete, holds, stored, unreadable
from resources.nwb_files.names import input_error
from resources.nwb_files.tables import TRIALS, check_table

if TYPE_CHECKING:
    from pynwb import NWBFile

FloatArray = NDArray[np.float64]

_NUMBERS = "biuf"  # NumPy's kinds: booleans, integers, floating point
_START = "start_time"


def read_trials(
    nwb: "NWBFile", *, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, FloatArray] | None:
    """Read columns of the trials table, sorted by the start of the trial.

    Parameters
    ----------
    nwb : pynwb.NWBFile
        An open file; may have no trials table.
    required : sequence of str
        Columns that the analysis needs. A table with none of them belongs to another task.
    optional : sequence of str
        Columns that are read if they are present.

    Returns
    -------
    dict of str to ndarray, shape (n_trials,), or None
        Each column that is present, as floating point (False is 0, True is 1); values that are not finite are kept.
        None if the file has no trials table, or one of another task.

    Raises
    ------
    InputError
        If some required columns are missing and others present, a column does not hold one number for each trial, the
        columns do not fit the rows of the table, pynwb does not recognize the table, or the order of the trials is not
        known: the start of a trial is missing, or all trials start at the same time.
    """
    name = check_table(nwb, TRIALS, found=nwb.trials, required=(_START,))
    table = nwb.trials
    if table is None or not set(required) & set(table.colnames):
        return None
    if missing := [column for column in required if column not in table.colnames]:
        reason = (
            f"has a trials table that has no column {', '.join(f'`{n}`' for n in missing)}; the analysis needs "
            f"{', '.join(f'`{n}`' for n in required)}"
        )
        raise input_error(name, reason, "Export the file again with all of them")
    wanted = [*required, *(column for column in optional if column in table.colnames)]
    columns = {column: _numbers(table, column, name=name) for column in wanted}
    order = _order(table, name=name)
    return {column: values[order] for column, values in columns.items()}


def _order(table: Any, *, name: str) -> NDArray[np.int64]:
    """Return the trials in the order of time."""
    starts = _numbers(table, _START, name=name)
    check_complete(stored(table[_START]), column=_START, table="trials", name=name)
    if missing := int((~np.isfinite(starts)).sum()):
        reason = f"has no {_START} of {missing} of its {len(starts)} trials, so that their order is not known"
        raise input_error(name, reason, "Export the file again")
    if len(starts) > 1 and (starts == starts[0]).all():
        reason = f"has {len(starts)} trials that all start at {starts[0]:g} s, so that their order is not known"
        raise input_error(name, reason, "Export the file again")
    return np.argsort(starts, kind="stable")


def _numbers(table: Any, column: str, *, name: str) -> FloatArray:
    """Return one column as numbers, one for each trial."""
    values = stored(table[column])
    found = holds(values, allowed=_NUMBERS)
    shape = tuple(values.shape) if hasattr(values, "shape") else np.shape(values)
    if found is None and not hasattr(table[column], "target") and shape == (len(table),):
        return _read(values, column, name=name)
    if found is None:
        found = "lists of numbers" if hasattr(table[column], "target") else f"values of shape {shape}"
    reason = f"holds {found} in column `{column}` of its trials table, and must hold one number for each of its {len(table)} trials"
    raise input_error(name, reason, "Export the file again")


def _read(values: Any, column: str, *, name: str) -> FloatArray:
    try:
        return np.asarray(values[:]).astype(np.float64)
    except (OSError, RuntimeError, ValueError) as error:
        raise unreadable(error, label=column, table="trials", name=name) from error
