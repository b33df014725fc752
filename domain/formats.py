"""The formats of stored documents, such as ``analysis-record/1``, and what an older version of the platform does with newer ones.

Within one format a newer version may add fields, and only add them: a reader ignores what it does not know, and who changes a
document sets single fields, so nothing is lost. A change that an older version would misread gets the next number. Then an
older version refuses the document, and neither repairs nor replaces it.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.errors import NewerFormatError
from domain.messages import shown

_FORMAT = re.compile(r"([a-z-]+)/(\d{1,9})(?:\.\d+)*")


class StoredModel(BaseModel):
    """Base of what the platform stores and reads again: fields of a newer version are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def check_format(document: Any, known: str, *, what: str) -> None:
    """Refuse a document of a newer format than this version knows.

    Parameters
    ----------
    document : mapping
        The object whose field ``format`` names its format. Without that field, or with another kind of value, it passes:
        whoever reads the rest finds out whether it is damaged.
    known : str
        The format that this version writes.
    what : str
        Names the document in the message.

    Raises
    ------
    NewerFormatError
        If its number is higher.
    """
    found = document.get("format") if isinstance(document, Mapping) else None
    name, number = known.split("/")
    parts = _FORMAT.fullmatch(found) if isinstance(found, str) else None
    if parts is not None and parts[1] == name and int(parts[2]) > int(number):
        msg = (
            f"The {what} has the format {shown(parts[0])}, which was written by a newer version of analysis-assets; this "
            f"version reads up to {known}. Use the version that wrote it, or a later one."
        )
        raise NewerFormatError(msg)
