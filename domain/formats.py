"""The formats of stored documents, such as ``analysis-record/1``, and how an older version of the platform treats newer ones.

Within one format a newer version may add fields, and only add them: readers ignore unknown fields, and writers
set single fields, so no data are lost. A change that an older version would misread gets the next number. An older version
then rejects the document, and neither repairs nor replaces it.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.errors import NewerFormatError
from domain.messages import shown

_FORMAT = re.compile(r"([a-z-]+)/(\d{1,9})(?:\.\d+)*")


class StoredModel(BaseModel):
    """Base class of stored models; ignores the fields of newer versions."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def check_format(document: Any, known: str, *, what: str) -> None:
    """Raise for a document whose format is newer than this version knows.

    Parameters
    ----------
    document : mapping
        The object whose field ``format`` names its format. Without that field, or with a value of another type, it passes:
        the reader of the other fields detects damage.
    known : str
        The format that this version writes.
    what : str
        Name of the document, for the message.

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
