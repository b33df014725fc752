"""Open NWB files: HDF5 files and Zarr directories, distinguished by their content and not by their name.

`open_nwb` opens a file with pynwb, lazily, and `read_units` reads its sorted units. `describe_session` reads subject,
name and start of the session from the header, without pynwb, whose import takes seconds. File libraries are imported where
they are used.
"""

import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.errors import InputError

if TYPE_CHECKING:
    from pynwb import NWBFile

FloatArray = NDArray[np.float64]

log = logging.getLogger(__name__)

_ZARR_MARKS = (".zgroup", "zarr.json")
_MAX_WORD = 500
"""Maximum length of a text of the header: it is a name, stored in every record and indexed; longer ones are cut."""


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
        Id in the units table.
    spike_times_s : ndarray, shape (n_spikes,), seconds
        As stored: not necessarily sorted; empty if the table has no spike times.
    obs_intervals_s : ndarray, shape (n_intervals, 2), seconds, or None
        Times at which the unit was observed; None if the table has no such column.
    spike_amplitudes : ndarray, shape (n_spikes,), unit of the file, or None
        None if the table has no such column.
    metrics : mapping of str to float
        Every column with one number for each unit, such as the quality metrics that spike sorting stored.
    """

    unit_id: int
    spike_times_s: FloatArray
    obs_intervals_s: FloatArray | None
    spike_amplitudes: FloatArray | None
    metrics: Mapping[str, float]


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
        If the path does not exist, cannot be opened, or is not an NWB file that pynwb can read.

    Examples
    --------
    >>> from examples.sessions import write_session
    >>> path = write_session(folder / "session.nwb", seed=1, n_units=3, duration_s=60.0).path
    >>> with open_nwb(path) as nwb:
    ...     print(nwb.subject.subject_id, len(nwb.units))
    700001 3
    """
    backend = _backend_of(path)
    with _open_header(path):  # rejects, with a clear message, files on which pynwb fails
        pass
    with ExitStack() as stack:
        yield _read(path, stack, backend=backend)


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
        If the path does not exist, cannot be opened, or is not an NWB file.
    """
    with _open_header(path) as header:
        return Session(
            subject_id=_text(header, "general/subject/subject_id"),
            session_name=_text(header, "general/session_id") or _text(header, "identifier"),
            session_start=_moment(_text(header, "session_start_time")),
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
        If the numbers of amplitudes and spikes of a unit differ.

    Examples
    --------
    >>> from examples.sessions import write_session
    >>> session = write_session(folder / "session.nwb", seed=1, n_units=3, duration_s=60.0)
    >>> with open_nwb(session.path) as nwb:
    ...     counts = [len(unit.spike_times_s) for unit in read_units(nwb)]
    >>> counts == [unit.spike_count for unit in session.units]
    True
    """
    table = nwb.units
    ids = [] if table is None else table.id[:]
    metrics = {} if table is None else _metrics(table)
    for row, unit_id in enumerate(ids):
        times = _cell(table, "spike_times", row)
        amplitudes = _cell(table, "spike_amplitudes", row)
        if amplitudes is not None and times is not None and len(amplitudes) != len(times):
            msg = (
                f"unit {unit_id} of session `{nwb.identifier}` has {len(times)} spike times and {len(amplitudes)} "
                "spike amplitudes, and must have as many of each. Export the file again."
            )
            raise InputError(msg)
        intervals = _cell(table, "obs_intervals", row)
        yield UnitData(
            unit_id=int(unit_id),
            spike_times_s=np.empty(0) if times is None else times,
            obs_intervals_s=None if intervals is None else intervals.reshape(-1, 2),
            spike_amplitudes=amplitudes,
            metrics={name: float(values[row]) for name, values in metrics.items()},
        )


def _cell(table: Any, column: str, row: int) -> FloatArray | None:
    """Return one unit's numbers in a column as a flat array; None if the table has no such column."""
    return np.ravel(np.asarray(table[column][row], dtype=np.float64)) if column in table.colnames else None


def _metrics(table: Any) -> dict[str, FloatArray]:
    """Return every column that holds one number for each unit."""
    stored = {name: getattr(table[name], "data", None) for name in table.colnames}
    flat = {name: data for name, data in stored.items() if getattr(data, "shape", None) == (len(table),)}
    arrays = {name: np.asarray(data) for name, data in flat.items() if f"{name}_index" not in table}
    return {name: array.astype(np.float64) for name, array in arrays.items() if array.dtype.kind in "fiu"}


def _backend_of(path: Path) -> Literal["hdf5", "zarr"]:
    """Return the format of a file, from its content."""
    if not path.exists():
        msg = f"`{path}` does not exist. Check the location that the job names."
        raise InputError(msg)
    if path.is_dir():
        if any((path / mark).is_file() for mark in _ZARR_MARKS):
            return "zarr"
        msg = (
            f"`{path}` is a directory but no Zarr store: it has neither {' nor '.join(_ZARR_MARKS)}. Name an NWB file."
        )
        raise InputError(msg)
    import h5py  # noqa: PLC0415 - takes 0.1 s, needed by readers only

    if h5py.is_hdf5(path):
        return "hdf5"
    msg = f"`{path}` is not an NWB file: it holds {path.stat().st_size} bytes and does not start like HDF5. Name an NWB file."
    raise InputError(msg)


@contextmanager
def _open_header(path: Path) -> Iterator[Any]:
    """Open the file as a tree of groups and arrays; raise if it is not an NWB file."""
    backend = _backend_of(path)
    try:
        tree = _open_hdf5(path) if backend == "hdf5" else _open_zarr(path)
        is_nwb = "nwb_version" in tree.attrs
    except (OSError, ValueError) as error:  # h5py: truncated or unreadable; zarr: malformed metadata
        msg = f"`{path}` cannot be opened as {backend}: {error}. It may be truncated: copy it again and compare sizes."
        raise InputError(msg) from error
    try:
        if not is_nwb:
            msg = f"`{path}` is {backend} but no NWB file: its root has no attribute `nwb_version`. Name an NWB file."
            raise InputError(msg)
        yield tree
    finally:
        if backend == "hdf5":
            tree.close()


def _open_hdf5(path: Path) -> Any:
    """Open an HDF5 file as a tree."""
    import h5py  # noqa: PLC0415

    return h5py.File(path, "r")


def _open_zarr(path: Path) -> Any:
    """Open a Zarr directory as a tree."""
    import zarr  # noqa: PLC0415 - takes 0.5 s, needed by readers of Zarr only

    try:
        return zarr.open_group(str(path), mode="r")
    except zarr.errors.MetadataError as error:  # not a ValueError, unlike zarr's other errors
        raise ValueError(str(error)) from error


def _read(path: Path, stack: ExitStack, *, backend: Literal["hdf5", "zarr"]) -> "NWBFile":
    """Read a file with pynwb; the exit stack closes it."""
    from hdmf.build import ConstructError  # noqa: PLC0415 - importing pynwb and its dependencies takes seconds

    # The exceptions of pynwb for incomplete files are not documented: these were observed.
    faults = (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, ConstructError)
    try:
        with _logged_warnings(path):
            return stack.enter_context(_open_io(path, backend=backend)).read()
    except faults as error:
        msg = f"`{path}` cannot be read as NWB: {error}. Check it with `pynwb-validate`, or export it again."
        raise InputError(msg) from error


def _open_io(path: Path, *, backend: Literal["hdf5", "zarr"]) -> Any:
    """Return the reader of one backend."""
    if backend == "hdf5":
        from pynwb import NWBHDF5IO  # noqa: PLC0415

        return NWBHDF5IO(str(path), mode="r", load_namespaces=True)
    from hdmf_zarr import NWBZarrIO  # noqa: PLC0415

    return NWBZarrIO(str(path), mode="r", load_namespaces=True)


@contextmanager
def _logged_warnings(path: Path) -> Iterator[None]:
    """Send pynwb's warnings to the log.

    Most files were written with another version of the schema: deprecated fields, cached namespaces and incomplete image
    series each cause a warning on which the reader of a result cannot act.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        log.info("reading %s: %s", path.name, warning.message)


def _text(header: Any, name: str) -> str | None:
    """Return a scalar of the header as text; None if it is missing, empty or not a scalar."""
    node = header.get(name)
    if node is None or not hasattr(node, "shape") or math.prod(node.shape) != 1:  # tables are not read
        return None
    value = node[()] if node.shape == () else node[()].ravel().tolist()[0]
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.encode(errors="replace").decode().strip()[:_MAX_WORD] or None


def _moment(text: str | None) -> datetime | None:
    """Return an ISO 8601 time that has a zone; None for any other text."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
