"""How the content of a result's files gets into S3: each file is read once, and hashed while it is read.

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
    """What was sent, and what the server holds now.

    Attributes
    ----------
    bytes : int
        Size.
    etag : str
        The server's tag, without quotes.
    sha256 : str
        Of the content that was sent.
    """

    bytes: int
    etag: str
    sha256: str


def upload_whole(s3: S3Connection, bucket: str, key: str, data: bytes, *, content_type: str) -> Upload:
    """Upload some bytes in one request; the server compares them with their MD5.

    Parameters
    ----------
    s3 : S3Connection
        The server.
    bucket, key : str
        Where.
    data : bytes
        What to upload, held in memory.
    content_type : str
        What a browser should make of it.

    Returns
    -------
    Upload
        What the server holds now.
    """
    md5 = b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    answer = s3.client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type, ContentMD5=md5)
    return Upload(len(data), etag_of(answer), hashlib.sha256(data).hexdigest())


def upload_in_parts(s3: S3Connection, bucket: str, key: str, content: BinaryIO, *, content_type: str) -> Upload:
    """Upload a large file in parts, some of them at once; what was begun is undone when a part fails.

    Parameters
    ----------
    s3 : S3Connection
        The server.
    bucket, key : str
        Where.
    content : BinaryIO
        An open file.
    content_type : str
        What a browser should make of it.

    Returns
    -------
    Upload
        What the server holds now.
    """
    hashed = _Hashed(content)
    source: Any = hashed  # it reads, and that is all that is asked of it
    size = _Size(FileState.of(content).size)
    s3.transfers.upload(source, bucket, key, extra_args={"ContentType": content_type}, subscribers=[size]).result()
    answer = s3.client.head_object(Bucket=bucket, Key=key)  # what a listing will show; the parts' answer may differ
    return Upload(answer["ContentLength"], etag_of(answer), hashed.sha256())


@dataclass(frozen=True)
class FileState:
    """What changes when another process writes into a file.

    Attributes
    ----------
    size, changed_ns : int
        Size (bytes) and time of the last change (ns).
    """

    size: int
    changed_ns: int

    @classmethod
    def of(cls, content: BinaryIO) -> Self:
        """Return the state of an open file now."""
        found = os.fstat(content.fileno())
        return cls(found.st_size, found.st_mtime_ns)


def check_unchanged(content: BinaryIO, before: FileState, sent: Upload) -> None:
    """Check that a file is as it was before its upload, and that all of it arrived.

    Parameters
    ----------
    content : BinaryIO
        The file, still open.
    before : FileState
        Its state before the upload.
    sent : Upload
        What the server holds now.

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
    """A file that is read from its begin to its end, hashed on the way; it cannot seek, so nobody reads it twice."""

    def __init__(self, content: BinaryIO) -> None:
        self._content, self._digest = content, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._content.read(size)
        self._digest.update(data)
        return data

    def sha256(self) -> str:
        """Return the digest of everything that was read."""
        return self._digest.hexdigest()


class _Size(BaseSubscriber):
    """Tells a transfer how large the file is: S3 allows 10,000 parts, so those of a very large file must be larger."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def on_queued(self, future: TransferFuture, **_: Any) -> None:
        """Tell it before the transfer begins."""
        future.meta.provide_transfer_size(self._size)
