"""Reading a file with pynwb, and the reason when pynwb cannot."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.errors import InputError
from resources.nwb_files.header import Backend, open_header, text_of
from resources.nwb_files.names import input_error, name_of
from resources.nwb_files.tables import table_fault, unread_fault

if TYPE_CHECKING:
    from pynwb import NWBFile

log = logging.getLogger("resources.nwb")

_REQUIRED = ("session_start_time", "identifier", "session_description")
_MAX_REASON = 200


def read_file(path: Path, stack: ExitStack, *, backend: Backend) -> "NWBFile":
    """Read a file with pynwb.

    Parameters
    ----------
    path : Path
        An NWB file, whose links were checked.
    stack : ExitStack
        Closes the file.
    backend : {"hdf5", "zarr"}
        Format of the file.

    Raises
    ------
    InputError
        If pynwb cannot read it, with the part of the file that is missing or malformed where that is known.
    """
    from hdmf.build import ConstructError  # noqa: PLC0415 - importing pynwb and its dependencies takes seconds

    # The exceptions of pynwb for incomplete files are not documented: these were observed.
    faults = (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, ConstructError)
    try:
        with _logged_warnings(path):
            return stack.enter_context(_open_io(path, backend=backend)).read()
    except faults as error:
        # Tracebacks are stored: that of a ConstructError shows the objects that hdmf was building, page after page.
        cause = None if isinstance(error, ConstructError) else error
        raise _explained(path, error) from cause


def _explained(path: Path, error: Exception) -> InputError:
    """Return the error for a file that pynwb cannot read: its message may be a dump of half the file."""
    advice = "Check the file with `pynwb-validate`, or export it again"
    with open_header(path) as header:
        fault = _first_fault(header)
    if fault is None:
        # The last argument is the message; those of hdmf before it are the objects that it was building.
        found = " ".join(str(error.args[-1] if error.args else "").split()).rstrip(".")
        cut = found if len(found) <= _MAX_REASON else f"{found[:_MAX_REASON]}…"
        fault = f"cannot be read as NWB: pynwb stopped with {type(error).__name__}: {cut}"
    return input_error(name_of(path), fault, advice)


def _first_fault(header: Any) -> str | None:
    """Return the most basic fault; None if none is known, or the file is so damaged that looking for it fails."""
    try:
        return next(_faults(header), None)
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError):
        return None


def _faults(header: Any) -> Iterator[str]:
    """Yield what is missing or malformed in a file, most basic first."""
    for name in _REQUIRED:
        if header.get(name) is None:
            yield f"cannot be read as NWB: it has no `{name}`"
        elif text_of(header, name) is None and name != "session_description":
            yield f"cannot be read as NWB: its `{name}` is empty, or not a single text"
    start = text_of(header, _REQUIRED[0]) or ""
    if not _is_time(start):
        yield f"cannot be read as NWB: its `{_REQUIRED[0]}` is `{start[:50]}`, which is not a time in ISO 8601"
    intervals = header.get("intervals")
    tables = [f"intervals/{name}" for name in intervals] if hasattr(intervals, "keys") else []
    for path in ("units", *tables, "general/extracellular_ephys/electrodes"):
        required = ("start_time",) if path.startswith("intervals/") else ()
        if (fault := table_fault(header, path, required=required)) is not None:
            yield fault
        elif header.get(path) is not None and "neurodata_type" not in header[path].attrs:
            yield unread_fault(header, path) or path


def _is_time(text: str) -> bool:
    """Return whether pynwb reads a text as a time."""
    from dateutil.parser import parse  # noqa: PLC0415

    try:
        parse(text)
    except (ValueError, OverflowError):
        return False
    return True


def _open_io(path: Path, *, backend: Backend) -> Any:
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
