"""Where a unit was recorded: the names of its probe and electrode group, from the units table."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from resources.nwb_files.columns import holds, stored

if TYPE_CHECKING:
    from pynwb import NWBFile

Label = str | None
_PROBE_COLUMNS = ("device_name", "probe_name", "probe")
_MAX_LABEL = 200


def labels_of(nwb: "NWBFile") -> tuple[Callable[[int], Label], Callable[[int], Label]]:
    """Return two functions that give the probe and the electrode group of a row of the units table.

    The probe is the text of a column `device_name`, `probe_name` or `probe`, otherwise the device of the unit's electrode
    groups. The electrode group is that of the column `electrode_group`, otherwise the groups of the unit's `electrodes`.

    Parameters
    ----------
    nwb : pynwb.NWBFile
        An open file with a units table.

    Returns
    -------
    tuple of two functions
        Both take the number of a row, and return a name of at most 200 characters, several joined by commas, or None if
        the file does not say it.
    """
    table = nwb.units
    column = next((name for name in _PROBE_COLUMNS if name in table.colnames and holds(stored(table[name]))), None)

    def group(row: int) -> Label:
        return _joined([getattr(found, "name", found) for found in _groups(nwb, row)])

    def probe(row: int) -> Label:
        if column is not None and not hasattr(table[column], "target"):
            return _joined([table[column][row]])
        devices = [getattr(found, "device", None) for found in _groups(nwb, row)]
        return _joined([device.name for device in devices if device is not None])

    return _readable(probe), _readable(group)


def _readable(label: Callable[[int], Label]) -> Callable[[int], Label]:
    """Return a function that gives None where the file holds what the installed libraries do not read.

    hdmf-zarr writes texts and references as pickles, and numcodecs refuses to read pickles from a file.
    """

    def read(row: int) -> Label:
        try:
            return label(row)
        except (RuntimeError, OSError, LookupError, ValueError, TypeError):
            return None

    return read


def _groups(nwb: "NWBFile", row: int) -> Sequence[Any]:
    """Return the electrode groups of a unit: objects, or names where the file only has names."""
    table = nwb.units
    if "electrode_group" in table.colnames:
        return [table["electrode_group"][row]]
    electrodes = nwb.electrodes
    if "electrodes" not in table.colnames or electrodes is None:
        return []
    rows = _electrode_rows(table["electrodes"], row)
    if not all(0 <= number < len(electrodes) for number in rows):  # ids, and not rows
        return []
    names = [electrodes["group_name"][number] for number in rows] if "group_name" in electrodes.colnames else []
    # Names first: hdmf-zarr writes references as pickles, which are not read.
    groups = [nwb.electrode_groups.get(name) for name in names]
    if groups and all(group is not None for group in groups):
        return groups
    return [electrodes["group"][number] for number in rows] if "group" in electrodes.colnames else names


def _electrode_rows(column: Any, row: int) -> list[int]:
    """Return the rows of the electrodes table that a unit refers to, without reading these rows."""
    values = stored(column)
    if not hasattr(column, "target"):
        return [int(values[row])]
    ends = column.data
    start = int(ends[row - 1]) if row else 0
    return [int(number) for number in np.ravel(values[start : int(ends[row])])]


def _joined(names: Sequence[Any]) -> Label:
    """Join different names by commas, in their order."""
    texts = [name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names]
    return ", ".join(dict.fromkeys(text.strip() for text in texts if text.strip()))[:_MAX_LABEL] or None
