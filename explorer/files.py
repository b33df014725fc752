"""Serves files of results: only those in the manifest of the result, below the root of the store.

What an analysis wrote is not trusted: apart from figures, which are shown as images, everything is a download.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from domain.errors import OutputError, UnknownJobError
from domain.result.provenance import Provenance
from domain.result.records import readable
from engine.execution.publish import MANIFEST
from explorer.context import ExplorerContext
from resources.result_store.names import METADATA, check_result, key_of
from resources.s3.errors import is_missing, s3_errors

IMAGES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
"""Formats of figures that are shown; others are linked."""

_PIECE_BYTES = 256 * 1024
_SAFE_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class FoundFile:
    """An open file of a result.

    Attributes
    ----------
    name : str
        A name to save it under: letters, digits, dots and dashes.
    size : int
        Size in bytes, from the manifest.
    pieces : iterator of bytes
        Chunks of the content.
    """

    name: str
    size: int
    pieces: Iterator[bytes]


def is_image(path: str | None) -> bool:
    """Return whether a figure can be shown."""
    return path is not None and PurePosixPath(path).suffix.lower() in IMAGES


def result_named(context: ExplorerContext, result_id: str) -> Provenance:
    """Return a result by its id.

    Raises
    ------
    OutputError
        If it is not an id, or the files are not below the root of this store.
    UnknownJobError
        If the result does not exist.
    """
    check_result(result_id)
    record = context.records.get_many([result_id]).get(result_id)
    found = readable(record) if record is not None else None
    if found is None:
        msg = f"There is no result {result_id}: it was replaced or invalidated, or never was."
        raise UnknownJobError(msg)
    if found.location != context.results.location(result_id, found.attempt):
        msg = f"The files of {result_id} are not below s3://{context.results.root}: open them where they are."
        raise OutputError(msg)
    return found


def listed(context: ExplorerContext, found: Provenance) -> dict[str, int]:
    """Return the sizes (bytes) of a result's files, by path.

    Raises
    ------
    OutputError
        If the manifest cannot be read.
    """
    content = context.results.get_bytes(found.location, MANIFEST)
    try:
        files: Any = json.loads(content or b"null")
        return {str(one["path"]): int(one["bytes"]) for one in (*files["files"], *files["logs"])}
    except (ValueError, TypeError, KeyError, RecursionError):
        msg = f"The manifest of {found.result_id} cannot be read: audit the result with `analysis audit --deep`."
        raise OutputError(msg) from None


def open_file(context: ExplorerContext, found: Provenance, path: str) -> FoundFile:
    """Open one file of a result.

    Raises
    ------
    OutputError
        If the manifest does not list it, or it is missing.
    """
    if path not in {MANIFEST, METADATA} and path not in listed(context, found):
        msg = f"{found.result_id} has no such file; its manifest lists all that it has."
        raise OutputError(msg)
    bucket, key = key_of(found.location, path)
    with s3_errors(f"read {path} of {found.location}", server=context.results.s3.server_name):
        try:
            answer = context.results.s3.client.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if not is_missing(error):
                raise
            msg = f"The file is gone from {found.location}: audit the result with `analysis audit`."
            raise OutputError(msg) from None
    name = _SAFE_NAME.sub("_", PurePosixPath(path).name).lstrip(".") or "file"
    return FoundFile(name, answer["ContentLength"], answer["Body"].iter_chunks(_PIECE_BYTES))
