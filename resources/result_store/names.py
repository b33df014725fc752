"""Names of results and of their files: validation for every S3 server, and conversion to keys.

Names are checked before any request: on some servers an invalid name fails late, hides other files or disappears.
"""

import re
from collections.abc import Iterable

from domain.errors import OutputError, error_context
from resources.s3.server import split_s3_url

METADATA = "metadata.nd.json"
"""The file that is written last: an attempt that contains it is complete."""

_RESULT_ID = re.compile(r"[0-9a-f]{64}")
_ATTEMPT = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}")
_NOT_TEXT = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_MAX_SEGMENT_BYTES = 255
_MAX_KEY_BYTES = 1024
_MAX_SHOWN = 10


def check_result(result_id: str, attempt: str | None = None) -> None:
    """Raise for an invalid result id or attempt.

    Parameters
    ----------
    result_id : str
        64 hexadecimal digits.
    attempt : str, optional
        UUID of the attempt.

    Raises
    ------
    OutputError
        If one of them has another format.
    """
    if not _RESULT_ID.fullmatch(result_id):
        msg = f"Not a result's id: {result_id!r}. Expected 64 hexadecimal digits."
        raise OutputError(msg)
    if attempt is not None and not is_attempt(attempt):
        msg = f"Not an attempt: {attempt!r}. Expected a uuid."
        raise OutputError(msg)


def is_result(name: str) -> bool:
    """Return whether a name is a result id: 64 hexadecimal digits."""
    return _RESULT_ID.fullmatch(name) is not None


def is_attempt(name: str) -> bool:
    """Return whether a name is that of an attempt: a UUID."""
    return _ATTEMPT.fullmatch(name) is not None


def split_location(location: str) -> tuple[str, str]:
    """Return bucket and key of an attempt's folder.

    Parameters
    ----------
    location : str
        ``s3://bucket/prefix/<result_id>/<attempt>``; the prefix is optional.

    Raises
    ------
    OutputError
        If it has another format.
    """
    parts = location.removeprefix("s3://").split("/")
    result_id, attempt = ["", *parts][-2:]
    well_formed = location.startswith("s3://") and _RESULT_ID.fullmatch(result_id) and is_attempt(attempt)
    if not well_formed or {"", ".", ".."} & set(parts):
        msg = f"Not a result's location: {location!r}. Expected s3://bucket/prefix/<result id>/<attempt>."
        raise OutputError(msg, location=location)
    return split_s3_url(location)


def key_of(location: str, path: str) -> tuple[str, str]:
    """Return bucket and key of one file of an attempt.

    Parameters
    ----------
    location : str
        S3 address of the attempt's folder.
    path : str
        Path of the file below the location.

    Raises
    ------
    OutputError
        If the location has another format, or the name cannot be stored.
    """
    with error_context(location=location):
        check_paths([path])
    bucket, folder = split_location(location)
    key = f"{folder}/{path}"
    if len(key.encode()) > _MAX_KEY_BYTES:
        msg = f"The result file {path!r} cannot be stored: its key is longer than {_MAX_KEY_BYTES} bytes."
        raise OutputError(msg, location=location)
    return bucket, key


def check_paths(paths: Iterable[str]) -> None:
    """Raise for file names that some S3 server cannot store, before any file is uploaded.

    Parameters
    ----------
    paths : iterable of str
        Paths of all files of a result, below its folder.

    Raises
    ------
    OutputError
        If a name is absolute, holds ``..``, an empty or over-long part, control characters or text that is not
        Unicode, is reserved, or is also a folder of another file. The message lists up to ten reasons.
    """
    names = sorted(set(paths))
    folders = {name[:i] for name in names for i, letter in enumerate(name) if letter == "/"}
    faults = [f"{name!r} {fault}" for name in names for fault in _faults(name)[:1]]
    faults += [f"{name!r} is a file and also a folder" for name in names if name in folders]
    if faults:
        more = f" and {len(faults) - _MAX_SHOWN} more" if len(faults) > _MAX_SHOWN else ""
        msg = f"Result files cannot be stored: {'; '.join(faults[:_MAX_SHOWN])}{more}. Rename them in the analysis."
        raise OutputError(msg)


def _faults(path: str) -> list[str]:
    """Return why a file name cannot be stored; empty if it can."""
    parts = path.split("/")
    too_long = max(len(part.encode(errors="replace")) for part in parts) > _MAX_SEGMENT_BYTES
    rules = {
        "is absolute or empty": path.startswith("/") or not path,
        "has an empty part, or one that is `.` or `..`": bool({"", ".", ".."} & set(parts)),
        "is not Unicode text": _NOT_TEXT.search(path) is not None,
        "holds a control character": _CONTROL.search(path) is not None,
        f"has a part of more than {_MAX_SEGMENT_BYTES} bytes": too_long,
        "begins with `.rclone_`, which the embedded S3 hides": any(part.startswith(".rclone_") for part in parts),
    }
    return [fault for fault, broken in rules.items() if broken]
