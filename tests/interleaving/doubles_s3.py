"""S3 in memory: the requests that the platform sends, answered as a server answers them."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

_PAGE = 1000


@dataclass(frozen=True)
class StoredObject:
    """One object."""

    data: bytes
    modified: datetime

    @property
    def etag(self) -> str:
        """The server's tag."""
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


class BodyDouble(BytesIO):
    """The body of an answer."""

    def iter_chunks(self, size: int = 1024) -> Iterator[bytes]:
        """Yield the content in pieces."""
        while piece := self.read(size):
            yield piece


class S3Double:
    """A client of a server in memory.

    Parameters
    ----------
    now : callable
        Returns the server's time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.objects: dict[tuple[str, str], StoredObject] = {}
        self._now, self._lock = now, threading.Lock()

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **_: Any) -> dict[str, Any]:  # noqa: N803  boto3's names
        """Store an object."""
        data = Body if isinstance(Body, bytes) else Body.read()
        with self._lock:
            found = self.objects[Bucket, Key] = StoredObject(bytes(data), self._now())
        return {"ETag": found.etag}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """Return an object."""
        found = self._found(Bucket, Key, "NoSuchKey", "GetObject")
        return {"Body": BodyDouble(found.data), **_described(found)}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """Return what is known of an object."""
        return _described(self._found(Bucket, Key, "404", "HeadObject"))

    def list_objects_v2(self, *, Bucket: str, Prefix: str = "", Delimiter: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        """List objects by key."""
        contents, folders = [], dict[str, None]()
        for bucket, key in sorted(self.objects):
            if bucket != Bucket or not key.startswith(Prefix):
                continue
            rest, found = key.removeprefix(Prefix), self.objects[bucket, key]
            if Delimiter and Delimiter in rest:
                folders[Prefix + rest.partition(Delimiter)[0] + Delimiter] = None
            else:
                size = {"Size": len(found.data), "ETag": found.etag, "LastModified": found.modified}
                contents.append({"Key": key, **size})
        if len(contents) > _PAGE:
            raise NotImplementedError
        answer: dict[str, Any] = {"IsTruncated": False}
        return (
            answer
            | ({"Contents": contents} if contents else {})
            | ({"CommonPrefixes": [{"Prefix": f} for f in folders]} if folders else {})
        )

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """Delete an object, if it is there."""
        self.objects.pop((Bucket, Key), None)
        return {}

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Delete several objects."""
        for one in Delete["Objects"]:
            self.delete_object(Bucket=Bucket, Key=one["Key"])
        return {}

    def download_file(self, bucket: str, key: str, path: str, **_: Any) -> None:
        """Write an object into a file."""
        Path(path).write_bytes(self._found(bucket, key, "404", "HeadObject").data)

    def _found(self, bucket: str, key: str, code: str, operation: str) -> StoredObject:
        """Return an object, or raise what boto3 raises."""
        found = self.objects.get((bucket, key))
        if found is None:
            error: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 404}}
            raise ClientError(error, operation)
        return found


def _described(found: StoredObject) -> dict[str, Any]:
    """Return the head of an answer."""
    return {"ETag": found.etag, "ContentLength": len(found.data), "LastModified": found.modified}
