"""Tables of NWB files, checked in the file itself: columns that are there, and rows that each have a value.

pynwb checks little of this when it reads a file. It leaves out a table that it does not recognize, and columns that
the attribute `colnames` does not name; an index that is too short raises in the middle of the table.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resources.nwb_files.header import open_header
from resources.nwb_files.names import input_error, name_of

if TYPE_CHECKING:
    from pynwb import NWBFile

UNITS = "units"
TRIALS = "intervals/trials"

_MAX_ID = 2**63 - 1


def check_table(nwb: "NWBFile", path: str, *, found: Any, required: Sequence[str] = ()) -> str:
    """Check a table in the file that it comes from, and return what messages call the file.

    Parameters
    ----------
    nwb : pynwb.NWBFile
        An open file, or one in memory, of which nothing is checked.
    path : str
        Path of the table in the file, such as `UNITS`.
    found : hdmf.common.DynamicTable or None
        The table as pynwb gives it.
    required : sequence of str
        Columns that it must have, unless it has no rows.

    Returns
    -------
    str
        Name of the input; the identifier of a file in memory.

    Raises
    ------
    InputError
        If the table cannot be read as it is stored, or pynwb does not recognize it.
    """
    if nwb.container_source is None:
        return str(nwb.identifier)
    source = Path(nwb.container_source)
    with open_header(source) as file:
        fault = table_fault(file, path, required=required)
        if fault is None and found is None:
            fault = unread_fault(file, path)
    if fault is not None:
        raise input_error(name_of(source), fault, "Export the file again")
    return name_of(source)


def table_fault(file: Any, path: str, *, required: Sequence[str] = ()) -> str | None:
    """Return why a table cannot be read as it is stored.

    Parameters
    ----------
    file : h5py.File or zarr.Group
        The open file, whose links were checked.
    path : str
        Path of the table, such as `UNITS`.
    required : sequence of str
        Columns that it must have, unless it has no rows.

    Returns
    -------
    str or None
        The reason, to follow the name of the input; None for a sound table, and if there is none.
    """
    group = file.get(path)
    if group is None:
        return None
    if not hasattr(group, "keys"):
        return f"holds an array at `/{path}`, where a table is expected"
    named = _colnames(group)
    if isinstance(named, str):
        return f"has a table `{path}` {named}"
    ids = group.get("id")
    if (fault := _id_fault(ids)) is not None:
        return f"has a table `{path}` {fault}"
    missing = [name for name in required if name not in named] if len(ids) else []
    if missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        return f"has a table `{path}` without the column {listed}: its {len(ids)} rows have no values of it"
    return _columns_fault(group, path, named, n_rows=len(ids))


def unread_fault(file: Any, path: str) -> str | None:
    """Return why pynwb has not recognized a table that the file has; None if there is none.

    Parameters
    ----------
    file : h5py.File or zarr.Group
        The open file.
    path : str
        Path of the table.
    """
    group = file.get(path)
    if group is None:
        return None
    found = getattr(group, "attrs", {}).get("neurodata_type")
    kind = "has no `neurodata_type`" if found is None else f"is of the type `{_text(found)}`"
    return f"holds `/{path}`, which {kind}, so that pynwb does not read it as the table of that name"


def _colnames(group: Any) -> list[str] | str:
    """Return the names of the columns, or what is wrong with them."""
    found = group.attrs.get("colnames")
    if found is None:
        return "without the attribute `colnames`, so that its columns are not known"
    if isinstance(found, str | bytes) or np.ndim(found) != 1:
        shown = f"the text `{_text(found)}`" if isinstance(found, str | bytes) else "no list"
        return f"whose attribute `colnames` is {shown}, and must be a list of names"
    names = [_text(name) for name in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    return names if not repeated else f"whose attribute `colnames` names `{repeated[0]}` more than once"


def _id_fault(ids: Any) -> str | None:
    """Return what is wrong with the ids of a table."""
    if ids is None or not hasattr(ids, "shape"):
        return "without the column `id`"
    if len(ids.shape) != 1:
        return f"whose column `id` has the shape {tuple(ids.shape)}, and must have one id for each row"
    if ids.dtype.kind not in "iu":
        kind = "text" if ids.dtype.kind in "OSU" else f"values of type {ids.dtype}"
        return f"whose column `id` holds {kind}, and must hold whole numbers"
    too_large = [row for row, value in enumerate(ids[:].tolist()) if value > _MAX_ID] if ids.dtype.kind == "u" else []
    if not too_large:
        return None
    row = too_large[0]
    return f"whose id {int(ids[row])} in row {row} is beyond 2^63-1, the highest id that a result table holds"


def _columns_fault(group: Any, path: str, named: list[str], *, n_rows: int) -> str | None:
    """Return which column is missing, not named, or has another number of rows than the table."""
    for name in named:
        if not hasattr(group.get(name), "shape"):
            return f"has a table `{path}` whose attribute `colnames` names `{name}`, and there is no such column"
        if (fault := _rows_fault(group, name, n_rows=n_rows)) is not None:
            return f"has a table `{path}` in which {fault}"
    known = {"id", *named}
    for name in group:
        is_column = hasattr(group[name], "shape") and "neurodata_type" in group[name].attrs
        if is_column and name not in known and _indexed(name) not in known:
            return f"has a table `{path}` with the column `{name}`, which its attribute `colnames` leaves out"
    return None


def _indexed(name: str) -> str:
    """Return the column that an index belongs to, through any number of indices."""
    while name.endswith("_index"):
        name = name.removesuffix("_index")
    return name


def _rows_fault(group: Any, name: str, *, n_rows: int) -> str | None:
    """Return what is wrong with the number of rows of a column, or with the outermost index in front of it."""
    outer, inner = name, None
    while hasattr(group.get(f"{outer}_index"), "shape"):
        outer, inner = f"{outer}_index", outer
    length = group[outer].shape[0] if group[outer].shape else 0
    if length != n_rows:
        return f"`{outer}` has {length} entries for {n_rows} rows"
    if inner is None or not n_rows:
        return None
    if group[outer].dtype.kind not in "iu":
        return f"`{outer}` holds values of type {group[outer].dtype}, and must hold whole numbers"
    ends = np.asarray(group[outer][:]).astype(np.int64)
    n_values = group[inner].shape[0]
    if ends[0] < 0 or (np.diff(ends) < 0).any():
        return f"`{outer}` falls from one row to the next, so that it is not known which values belong to which row"
    if ends[-1] != n_values:
        return f"`{outer}` ends at {ends[-1]}, and `{inner}` has {n_values} values"
    return None


def _text(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text[:100]
