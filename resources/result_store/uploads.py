"""Uploads the files of results to S3: each file is read once, and hashed while it is read.

Small files are uploaded in one request, large ones in parts by boto3's transfers. Both hold parts of files in memory, and
both have a bound: `SINGLE_PUT_BYTES` for each thread that uploads small files, and for large ones ``PARTS_IN_MEMORY +
LARGE_AT_ONCE`` parts in the whole process, however many files there are. A process grows by up to twice that, because
freed parts are kept for the next ones, and by no more for 5 GB than for 500 MB.
"""

import hashlib
import os
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from s3transfer.futures import TransferFuture
from s3transfer.subscribers import BaseSubscriber

from domain.errors import OutputError
from resources.s3.connection import S3Connection
from resources.s3.errors import etag_of


@dataclass(frozen=True)
class Upload:
    """An uploaded object as stored on the server.

    Attributes
    ----------
    bytes : int
        Size (bytes).
    etag : str
        ETag of the server, without quotes.
    sha256 : str
        Digest of the content that was sent.
    """

    bytes: int
    etag: str
    sha256: str


def upload_whole(s3: S3Connection, bucket: str, key: str, data: bytes, *, content_type: str) -> Upload:
    """Upload bytes in one request; the server verifies their MD5.

    Parameters
    ----------
    s3 : S3Connection
        Connection to the server.
    bucket, key : str
        Bucket and key of the object.
    data : bytes
        Content, held in memory.
    content_type : str
        MIME type that a browser receives.

    Returns
    -------
    Upload
        The object as stored on the server.
    """
    md5 = b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    answer = s3.client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type, ContentMD5=md5)
    return Upload(len(data), etag_of(answer), hashlib.sha256(data).hexdigest())


def upload_in_parts(s3: S3Connection, bucket: str, key: str, content: BinaryIO, *, content_type: str) -> Upload:
    """Upload a large file in concurrent parts; the upload is aborted if a part fails.

    Parameters
    ----------
    s3 : S3Connection
        Connection to the server.
    bucket, key : str
        Bucket and key of the object.
    content : BinaryIO
        File opened for reading.
    content_type : str
        MIME type that a browser receives.

    Returns
    -------
    Upload
        The object as stored on the server.
    """
    hashed = _Hashed(content)
    source: Any = hashed  # `read` is the only method that is used
    size = _Size(FileState.of(content).size)
    s3.transfers.upload(source, bucket, key, extra_args={"ContentType": content_type}, subscribers=[size]).result()
    answer = s3.client.head_object(Bucket=bucket, Key=key)  # as a listing shows it, unlike the last response
    return Upload(answer["ContentLength"], etag_of(answer), hashed.sha256())


@dataclass(frozen=True)
class FileState:
    """State of a file, which changes when another process writes to it.

    Attributes
    ----------
    size, changed_ns : int
        Size (bytes) and time of the last change (ns).
    """

    size: int
    changed_ns: int

    @classmethod
    def of(cls, content: BinaryIO) -> Self:
        """Return the current state of an open file."""
        found = os.fstat(content.fileno())
        return cls(found.st_size, found.st_mtime_ns)


def check_unchanged(content: BinaryIO, before: FileState, sent: Upload) -> None:
    """Raise if a file has changed since before its upload, or was not completely uploaded.

    Parameters
    ----------
    content : BinaryIO
        The open file.
    before : FileState
        Its state before the upload.
    sent : Upload
        The object as stored on the server.

    Raises
    ------
    OutputError
        If the file changed.
    """
    if FileState.of(content) != before or sent.bytes != before.size:
        msg = (
            f"The file {Path(content.name).name} changed while it was uploaded ({before.size} bytes before, {sent.bytes} arrived). "
            "An analysis must have closed its files and ended its own processes when it returns."
        )
        raise OutputError(msg)


class _Hashed:
    """A file that is hashed while it is read; it cannot seek, so boto3 reads it only once."""

    def __init__(self, content: BinaryIO) -> None:
        self._content, self._digest = content, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, and hash them."""
        data = self._content.read(size)
        self._digest.update(data)
        return data

    def sha256(self) -> str:
        """Return the digest of the content that was read."""
        return self._digest.hexdigest()


class _Size(BaseSubscriber):
    """Sets the size of a transfer: S3 allows 10,000 parts, so those of a very large file must be larger."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def on_queued(self, future: TransferFuture, **_: Any) -> None:
        """Set the size before the transfer begins."""
        future.meta.provide_transfer_size(self._size)
