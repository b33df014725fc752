"""Read the trials table of an NWB file: numeric columns, sorted by time.

The analysis knows the meaning of the columns. Files are opened with `resources.nwb.open_nwb`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import InputError

if TYPE_CHECKING:
    from pynwb import NWBFile

FloatArray = NDArray[np.float64]

_NUMBERS = "biuf"  # NumPy's kinds: booleans, integers, floating point


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
        If some required columns are missing and others present, a column does not hold one number for each trial, or
        the start of a trial is missing.
    """
    table = nwb.trials
    if table is None or not set(required) & set(table.colnames):
        return None
    if missing := [name for name in required if name not in table.colnames]:
        msg = (
            f"the trials table of session `{nwb.identifier}` has no column {', '.join(f'`{n}`' for n in missing)}. "
            f"The analysis needs {', '.join(f'`{n}`' for n in required)}: export the file again with all of them."
        )
        raise InputError(msg)
    wanted = [*required, *(name for name in optional if name in table.colnames)]
    columns = {name: _numbers(table, name, session=nwb.identifier) for name in wanted}
    starts = _numbers(table, "start_time", session=nwb.identifier)
    if not np.isfinite(starts).all():
        msg = f"a trial of session `{nwb.identifier}` has no start_time, so that the order of trials is not known."
        raise InputError(msg)
    order = np.argsort(starts, kind="stable")
    return {name: values[order] for name, values in columns.items()}


def _numbers(table: Any, name: str, *, session: str) -> FloatArray:
    """Return one column as numbers, one for each trial."""
    values = np.asarray(table[name].data[:])
    if f"{name}_index" not in table and values.shape == (len(table),) and values.dtype.kind in _NUMBERS:
        return values.astype(np.float64)
    found = "text or objects" if values.dtype.kind not in _NUMBERS else f"values of shape {values.shape}"
    msg = (
        f"column `{name}` of the trials table of session `{session}` must hold one number for each of its "
        f"{len(table)} trials; it holds {found}. Export the file again."
    )
    raise InputError(msg)
