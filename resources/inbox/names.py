"""Converts names of inbox files to printable text and back.

A file name on Linux is any bytes, a key in S3 any text. Names are stored in MongoDB and JSON and shown to users, so
everything that is not printable UTF-8 is written as ``%XX``, and ``%`` as ``%25``: names are unique.
"""

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from domain.errors import JobFileError

PARAMETERS_FILE = "analysis_parameters.json"
"""Name of the file with fixed parameters in the folder of an analysis; it is not a job file."""

MAX_BYTES = 1024 * 1024
"""Maximum size of a job file; typical ones are a few kilobytes."""

_ANALYSIS = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class InboxFile:
    """A file of an inbox in a listing.

    Attributes
    ----------
    name : str
        Path below the folder of its analysis, separated by ``/``; printable and unique.
    fingerprint : str
        Text that changes whenever the file does.
    problem : str or None
        Why the file cannot be read as a job file; it is reported and not read.
    """

    name: str
    fingerprint: str
    problem: str | None = None


@dataclass(frozen=True)
class InboxPage:
    """A page of a listing.

    Attributes
    ----------
    files : tuple of InboxFile
        Job files, in the order of the listing.
    upto : str or None
        Path up to which all files are listed; None for the last page.
    """

    files: tuple[InboxFile, ...]
    upto: str | None


def shown_name(raw: str) -> str:
    """Return a path as printable text.

    Parameters
    ----------
    raw : str
        Path from the operating system or S3; bytes that are not UTF-8 as surrogates.
    """
    if raw.isprintable() and "%" not in raw:
        return raw
    return "".join(c if c.isprintable() and c != "%" else _escaped(c) for c in raw)


def decoded_name(name: str) -> str:
    """Return the path of a name without checks: to show it, not to open it.

    Parameters
    ----------
    name : str
        Printable name, from `shown_name`.
    """
    return os.fsdecode(unquote_to_bytes(name)) if "%" in name else name


def raw_name(name: str) -> str:
    """Return the path of a name; raise if it is outside of the inbox.

    Parameters
    ----------
    name : str
        Printable name, from `shown_name`.

    Raises
    ------
    JobFileError
        If it is absolute, contains ``..``, an empty part or NUL, or does not end in ``.json``.
    """
    raw = decoded_name(name)
    if "\0" in raw or not is_job_name(raw) or {"", ".", ".."} & set(raw.split("/")):
        msg = f"Not the name of an inbox file: {name!r}. Expected a relative path that ends in .json."
        raise JobFileError(msg)
    return raw


def is_job_name(raw: str) -> bool:
    """Return whether a path ends in ``.json``; others are ignored."""
    return raw[-5:].lower() == ".json"


def check_analysis(analysis: str) -> str:
    """Return the name of an analysis; raise for an invalid one, because it becomes part of a path.

    Raises
    ------
    JobFileError
        If it is not a valid name.
    """
    if not _ANALYSIS.fullmatch(analysis):
        msg = f"Not the name of an analysis: {analysis!r}. Expected lower-case letters, digits and `_`."
        raise JobFileError(msg)
    return analysis


def too_large(size: int) -> str | None:
    """Return the message for a file that is too large; None if it is not."""
    return f"is larger than 1 MiB ({size} bytes): not a job file" if size > MAX_BYTES else None


def _escaped(character: str) -> str:
    """Return a character as ``%XX`` for each of its bytes."""
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))
