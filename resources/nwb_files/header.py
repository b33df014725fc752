"""The header of an NWB file: opened as a tree of groups and arrays, without pynwb."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from resources.nwb_files.links import check_hdf5_links
from resources.nwb_files.names import input_error, name_of
from resources.nwb_files.zarr_store import MARKS, check_zarr_links, check_zarr_version

Backend = Literal["hdf5", "zarr"]

_MAX_WORD = 500
"""Maximum length of a text of the header: it is a name, stored in every record and indexed; longer ones are cut."""


def backend_of(path: Path) -> Backend:
    """Return the format of a file, from its content.

    Parameters
    ----------
    path : Path
        A file or directory.

    Raises
    ------
    InputError
        If it does not exist, or is neither HDF5 nor a Zarr store of format 2.
    """
    name = name_of(path)
    if not path.exists():
        raise input_error(name, "does not exist", "Check the location that the job names")
    if path.is_dir():
        if not any((path / mark).is_file() for mark in MARKS):
            reason = f"is a directory but no Zarr store: it has neither {' nor '.join(MARKS)}"
            raise input_error(name, reason, "Name an NWB file")
        check_zarr_version(path, name=name)
        return "zarr"
    import h5py  # noqa: PLC0415 - takes 0.1 s, needed by readers only

    if h5py.is_hdf5(path):
        return "hdf5"
    reason = f"is not an NWB file: it holds {path.stat().st_size} bytes and does not start like HDF5"
    raise input_error(name, reason, "Name an NWB file")


@contextmanager
def open_header(path: Path) -> Iterator[Any]:
    """Open a file as a tree of groups and arrays.

    Parameters
    ----------
    path : Path
        An HDF5 file or a Zarr directory.

    Yields
    ------
    h5py.File or zarr.Group
        The tree, usable until the ``with`` block ends.

    Raises
    ------
    InputError
        If it cannot be opened, or is not an NWB file.
    """
    backend, name = backend_of(path), name_of(path)
    try:
        tree = _open_hdf5(path) if backend == "hdf5" else _open_zarr(path)
        is_nwb = "nwb_version" in tree.attrs
    except (OSError, ValueError) as error:  # h5py: truncated or unreadable; zarr: malformed metadata
        advice = "It may be truncated: copy it again and compare sizes"
        raise input_error(name, f"cannot be opened as {backend}: {error}", advice) from error
    try:
        if not is_nwb:
            reason = f"is {backend} but no NWB file: its root has no attribute `nwb_version`"
            raise input_error(name, reason, "Name an NWB file")
        yield tree
    finally:
        if backend == "hdf5":
            tree.close()


def check_links(path: Path, tree: Any) -> None:
    """Raise if a file reads from other files, or has links without a target.

    Parameters
    ----------
    path : Path
        Path of the file.
    tree : h5py.File or zarr.Group
        The open file.

    Raises
    ------
    InputError
        Naming link and target.
    """
    if path.is_dir():
        check_zarr_links(path, name=name_of(path))
    else:
        check_hdf5_links(tree, name=name_of(path))


def text_of(header: Any, path: str) -> str | None:
    """Return a scalar of the header as text.

    Parameters
    ----------
    header : h5py.File or zarr.Group
        The open file.
    path : str
        Path of the scalar.

    Returns
    -------
    str or None
        At most 500 characters; None if it is missing, empty or not a scalar.
    """
    node = header.get(path)
    if node is None or not hasattr(node, "shape") or math.prod(node.shape) != 1:  # tables are not read
        return None
    value = node[()] if node.shape == () else node[()].ravel().tolist()[0]
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text.encode(errors="replace").decode().strip()[:_MAX_WORD] or None


def moment_of(text: str | None) -> datetime | None:
    """Return an ISO 8601 time that has a zone; None for any other text.

    Parameters
    ----------
    text : str or None
        Such as ``2024-05-01T10:00:00Z``.
    """
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _open_hdf5(path: Path) -> Any:
    import h5py  # noqa: PLC0415

    return h5py.File(path, "r")


def _open_zarr(path: Path) -> Any:
    import zarr  # noqa: PLC0415 - takes 0.5 s, needed by readers of Zarr only

    try:
        return zarr.open_group(str(path), mode="r")
    except zarr.errors.MetadataError as error:  # not a ValueError, unlike zarr's other errors
        raise ValueError(str(error)) from error
