"""Reads a CSV of asset ids, as exported from spreadsheets."""

import csv
from io import StringIO

from domain.errors import DispatchError
from domain.messages import shown

COLUMN = "asset_id"


def read_asset_csv(text: str) -> list[str]:
    """Return the asset ids of a CSV.

    Parameters
    ----------
    text : str
        A header line with the column ``asset_id``, and a line for each asset. A byte order mark, blank lines, other
        columns, white space and duplicates are ignored; the separator is a comma, semicolon or tab.

    Returns
    -------
    list of str
        Each id once, in the order of the file.

    Raises
    ------
    DispatchError
        If there is no such column (the message names the existing ones), or it has no id.
    """
    lines = [line for line in text.removeprefix("\ufeff").splitlines() if line.strip()]
    header = lines[0] if lines else ""
    delimiter = next((mark for mark in (";", "\t") if mark in header and "," not in header), ",")
    try:
        rows = list(csv.reader(StringIO("\n".join(lines)), delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        msg = f"The CSV of asset ids cannot be read: {error}. Expected a header line with the column `{COLUMN}`."
        raise DispatchError(msg) from None
    names = [name.strip() for name in rows[0]] if rows else []
    if COLUMN not in names:
        found = ", ".join(f"`{shown(name)}`" for name in names[:10]) or "nothing"
        msg = f"The CSV of asset ids has no column `{COLUMN}`; its first line names {found}."
        raise DispatchError(msg)
    place = names.index(COLUMN)
    ids = [row[place].strip() for row in rows[1:] if len(row) > place]
    found_ids = list(dict.fromkeys(i for i in ids if i))
    if not found_ids:
        msg = f"The CSV of asset ids has no id in its column `{COLUMN}`."
        raise DispatchError(msg)
    return found_ids
