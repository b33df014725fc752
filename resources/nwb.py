"""Open NWB files: HDF5 files and Zarr directories, distinguished by their content and not by their name.

`open_nwb` opens a file with pynwb, lazily, and `read_units` reads its sorted units. `describe_session` reads subject,
name and start of the session from the header, without pynwb, whose import takes seconds. File libraries are imported where
they are used. What a file must have, and which faults are errors, is on the page "Input files" of the documentation.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from resources.nwb_files.columns import cell, check_complete, check_numbers, holds, stored
from resources.nwb_files.header import backend_of, check_links, moment_of, open_header, text_of
from resources.nwb_files.labels import labels_of
from resources.nwb_files.links import check_header_links
from resources.nwb_files.names import input_error, name_of
from resources.nwb_files.reading import read_file
from resources.nwb_files.tables import UNITS, check_table

if TYPE_CHECKING:
    from pynwb import NWBFile

FloatArray = NDArray[np.float64]

_SUBJECT, _SESSION, _IDENTIFIER = "general/subject/subject_id", "general/session_id", "identifier"
_START = "session_start_time"
_TIMES, _AMPLITUDES, _INTERVALS = "spike_times", "spike_amplitudes", "obs_intervals"


class Session(BaseModel):
    """Subject, name and start of a session, from the header of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject_id: str | None = Field(default=None, description="The subject; None when missing or empty.")
    session_name: str | None = Field(default=None, description="`session_id`, else the file's `identifier`.")
    session_start: AwareDatetime | None = Field(
        default=None, description="Start of the session; None when missing, unreadable or without a time zone."
    )


@dataclass(frozen=True)
class UnitData:
    """The data of one sorted unit in a file.

    Attributes
    ----------
    unit_id : int
        Id in the units table; several probes in one file may use the same ids.
    spike_times_s : ndarray, shape (n_spikes,), seconds
        As stored: not necessarily sorted.
    obs_intervals_s : ndarray, shape (n_intervals, 2), seconds, or None
        Times at which the unit was observed, as stored: not necessarily finite, in order or disjoint; None if the table has
        no such column.
    spike_amplitudes : ndarray, shape (n_spikes,), unit of the file, or None
        None if the table has no such column.
    metrics : mapping of str to float
        Every column with one number for each unit, such as the quality metrics that spike sorting stored.
    row : int
        Row in the units table, from 0: together with the input it names one unit.
    probe : str or None
        Column `device_name`, `probe_name` or `probe`, otherwise the device of the electrode group; None if not stored.
    electrode_group : str or None
        Name of the electrode group, or groups joined by commas; None if not stored.
    """

    unit_id: int
    spike_times_s: FloatArray
    obs_intervals_s: FloatArray | None
    spike_amplitudes: FloatArray | None
    metrics: Mapping[str, float]
    row: int = 0
    probe: str | None = None
    electrode_group: str | None = None


@contextmanager
def open_nwb(path: Path) -> Iterator["NWBFile"]:
    """Open an NWB file for reading; arrays are read from disk at first use.

    Parameters
    ----------
    path : Path
        An HDF5 file or a Zarr directory.

    Yields
    ------
    pynwb.NWBFile
        The file, usable until the ``with`` block ends.

    Raises
    ------
    InputError
        If the path does not exist, cannot be opened, is not an NWB file that pynwb can read, reads from other files, or has
        broken links.

    Examples
    --------
    >>> from examples.sessions import write_session
    >>> path = write_session(folder / "session.nwb", seed=1, n_units=3, duration_s=60.0).path
    >>> with open_nwb(path) as nwb:
    ...     print(nwb.subject.subject_id, len(nwb.units))
    700001 3
    """
    backend = backend_of(path)
    with open_header(path) as header:  # rejects, with a clear message, files on which pynwb fails
        check_links(path, header)
    with ExitStack() as stack:
        yield read_file(path, stack, backend=backend)


def describe_session(path: Path) -> Session:
    """Read subject, session name and start from the header of an NWB file.

    Missing, empty and malformed metadata are None and never an error.

    Parameters
    ----------
    path : Path
        An HDF5 file or a Zarr directory.

    Returns
    -------
    Session
        Metadata of the header.

    Raises
    ------
    InputError
        If the path does not exist, cannot be opened, is not an NWB file, or has these values in another file.
    """
    with open_header(path) as header:
        if backend_of(path) == "hdf5":
            check_header_links(header, (_SUBJECT, _SESSION, _IDENTIFIER, _START), name=name_of(path))
        return Session(
            subject_id=text_of(header, _SUBJECT),
            session_name=text_of(header, _SESSION) or text_of(header, _IDENTIFIER),
            session_start=moment_of(text_of(header, _START)),
        )


def read_units(nwb: "NWBFile") -> Iterator[UnitData]:
    """Read the units of a file one by one, so that only one spike train is in memory.

    Parameters
    ----------
    nwb : pynwb.NWBFile
        An open file; without a units table there are no units.

    Yields
    ------
    UnitData
        The units in the order of the table.

    Raises
    ------
    InputError
        If the table has no spike times, columns that do not fit its rows, text where numbers belong, or ids beyond 2^63-1; if
        pynwb does not recognize the table; or if the numbers of amplitudes and spikes of a unit differ.

    Examples
    --------
    >>> from examples.sessions import write_session
    >>> session = write_session(folder / "session.nwb", seed=1, n_units=3, duration_s=60.0)
    >>> with open_nwb(session.path) as nwb:
    ...     counts = [len(unit.spike_times_s) for unit in read_units(nwb)]
    >>> counts == [unit.spike_count for unit in session.units]
    True
    """
    name = check_table(nwb, UNITS, found=nwb.units, required=(_TIMES,))
    if nwb.units is None or not len(nwb.units):
        return
    table = nwb.units
    _check_columns(table, name=name)
    metrics = _metrics(table)
    probe, group = labels_of(nwb)
    for row, unit_id in enumerate(table.id[:]):
        times = _times(table, row, name=name)
        amplitudes = _optional(table, _AMPLITUDES, row, name=name)
        if amplitudes is not None and len(amplitudes) != len(times):
            reason = (
                f"has {len(times)} spike times and {len(amplitudes)} spike amplitudes of unit {unit_id} (row {row}), and "
                "must have as many of each"
            )
            raise input_error(name, reason, "Export the file again")
        yield UnitData(
            unit_id=int(unit_id),
            spike_times_s=times,
            obs_intervals_s=_optional(table, _INTERVALS, row, name=name),
            spike_amplitudes=amplitudes,
            metrics={column: float(values[row]) for column, values in metrics.items()},
            row=row,
            probe=probe(row),
            electrode_group=group(row),
        )


def kind_of_column(table: Any, name: str) -> str | None:
    """Return what a column of a table holds, if it does not hold numbers.

    Parameters
    ----------
    table : hdmf.common.DynamicTable
        A table of an open file.
    name : str
        Name of the column.

    Returns
    -------
    str or None
        Such as ``text``; None for numbers, and if the column does not exist.
    """
    return holds(stored(table[name])) if name in table.colnames else None


def _check_columns(table: Any, *, name: str) -> None:
    """Raise if a column that holds numbers for each spike or unit does not."""
    if not hasattr(table[_TIMES], "target"):
        reason = (
            f"has a table `{UNITS}` without `{_TIMES}_index`, so that it is not known which spikes belong to which unit"
        )
        raise input_error(name, reason, "Export the file again")
    for column, numbers in ((_TIMES, None), (_AMPLITUDES, None), (_INTERVALS, 2)):
        if column in table.colnames:
            values = stored(table[column])
            check_numbers(values, column=column, table=UNITS, name=name, columns=numbers)
            check_complete(values, column=column, table=UNITS, name=name)


def _times(table: Any, row: int, *, name: str) -> FloatArray:
    return cell(table[_TIMES], row, label=_TIMES, table=UNITS, name=name).ravel()


def _optional(table: Any, column: str, row: int, *, name: str) -> FloatArray | None:
    """Return one unit's numbers in a column; None if the table has no such column."""
    if column not in table.colnames:
        return None
    found = cell(table[column], row, label=column, table=UNITS, name=name)
    return found.reshape(-1, 2) if column == _INTERVALS else found.ravel()


def _metrics(table: Any) -> dict[str, FloatArray]:
    """Return every column that holds one number for each unit."""
    data = {name: getattr(table[name], "data", None) for name in table.colnames if f"{name}_index" not in table}
    flat = {name: values for name, values in data.items() if getattr(values, "shape", None) == (len(table),)}
    return {name: np.asarray(values).astype(np.float64) for name, values in flat.items() if holds(values) is None}
