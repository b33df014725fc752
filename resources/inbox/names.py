"""Names of inbox files: how any name that a file can have is written as plain text, and back.

A file name on Linux is any bytes, a key in S3 any text. Names are stored in MongoDB and JSON and shown to people, so
whatever is not printable UTF-8 is written as ``%XX``, and ``%`` itself as ``%25``: two files never share a name.
"""

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from domain.errors import JobFileError

PARAMETERS_FILE = "analysis_parameters.json"
"""The file beside the jobs of an analysis that gives fixed parameters; itself no job."""

MAX_BYTES = 1024 * 1024
"""A job file is a few kilobytes; what is larger than this is no job file."""

_ANALYSIS = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class InboxFile:
    """One file of an inbox, as a listing shows it.

    Attributes
    ----------
    name : str
        Below the folder of its analysis, with ``/``; printable text, unique.
    fingerprint : str
        Changes whenever the file does.
    problem : str or None
        Why it is no job file that can be read: it is reported, never read.
    """

    name: str
    fingerprint: str
    problem: str | None = None


@dataclass(frozen=True)
class InboxPage:
    """A part of a listing.

    Attributes
    ----------
    files : tuple of InboxFile
        Its job files, in the order of the listing.
    upto : str or None
        The path up to which everything is listed now; None: this was the last part.
    """

    files: tuple[InboxFile, ...]
    upto: str | None


def shown_name(raw: str) -> str:
    """Write a path as printable text.

    Parameters
    ----------
    raw : str
        As the operating system or S3 gives it; bytes that are not UTF-8 as surrogates.
    """
    if raw.isprintable() and "%" not in raw:
        return raw
    return "".join(c if c.isprintable() and c != "%" else _escaped(c) for c in raw)


def decoded_name(name: str) -> str:
    """Turn the name of a file back into its path, whatever that is: for showing it, not for opening it.

    Parameters
    ----------
    name : str
        As `shown_name` wrote it.
    """
    return os.fsdecode(unquote_to_bytes(name)) if "%" in name else name


def raw_name(name: str) -> str:
    """Turn the name of a file back into its path, refusing one that would lead out of the inbox.

    Parameters
    ----------
    name : str
        As `shown_name` wrote it.

    Raises
    ------
    JobFileError
        If it is absolute, holds ``..``, an empty part or NUL, or does not end in ``.json``.
    """
    raw = decoded_name(name)
    if "\0" in raw or not is_job_name(raw) or {"", ".", ".."} & set(raw.split("/")):
        msg = f"Not the name of an inbox file: {name!r}. Expected a relative path that ends in .json."
        raise JobFileError(msg)
    return raw


def is_job_name(raw: str) -> bool:
    """Tell whether a path is looked at: it ends in ``.json``."""
    return raw[-5:].lower() == ".json"


def check_analysis(analysis: str) -> str:
    """Return the name of an analysis, refusing text that is none: it becomes part of a path.

    Raises
    ------
    JobFileError
        If it is no name.
    """
    if not _ANALYSIS.fullmatch(analysis):
        msg = f"Not the name of an analysis: {analysis!r}. Expected lower-case letters, digits and `_`."
        raise JobFileError(msg)
    return analysis


def too_large(size: int) -> str | None:
    """Say that a file is too large; None when it is not."""
    return f"is larger than 1 MiB ({size} bytes): not a job file" if size > MAX_BYTES else None


def _escaped(character: str) -> str:
    """Write one character as ``%XX`` for each of its bytes."""
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))
