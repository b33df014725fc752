"""Inputs in S3: objects, and directories (prefixes) such as Zarr stores, downloaded by several threads."""

import hashlib
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from domain.errors import InputChangedError, InputError
from domain.job.inputs import InputFile
from domain.messages import counted
from resources.inputs.local import MAX_DEPTH, MAX_FOUND
from resources.inputs.urls import is_nwb, shown_url
from resources.s3.errors import etag_of, is_missing, s3_errors
from resources.s3.server import S3Server, split_s3_url

THREADS = 16
MAX_FOLDERS = 5000
"""Maximum number of listed folders in a search: with more, the job should name its file."""

LARGE_BYTES = 16 * 1024 * 1024
"""Size of the parts in which larger objects are downloaded in parallel."""

_CHUNK = 1024 * 1024
_HINT = (
    "Check the address. For public buckets set INPUT_S3_UNSIGNED=1, for another server INPUT_S3_ENDPOINT_URL; "
    "otherwise check the AWS_* credentials."
)


@dataclass(frozen=True)
class _Object:
    """An object of a directory, and its local path."""

    key: str
    path: str
    bytes: int
    etag: str
    modified: datetime
    version_id: str | None = None


def find_s3(s3: S3Server, location: str, *, max_folders: int = MAX_FOLDERS) -> list[str]:
    """Return the NWB files and directories under an S3 location, nearest first.

    Parameters
    ----------
    s3 : S3Server
        Server of the bucket.
    location : str
        URL ``s3://bucket/prefix`` of a data asset.
    max_folders : int
        Maximum number of listed folders; more raise.

    Raises
    ------
    InputError
        If the bucket is missing, access is denied, or the location has no objects or too many folders.
    ServerUnavailableError
        If S3 does not answer.
    """
    bucket, key = split_s3_url(location)
    top = f"{key.rstrip('/')}/" if key.strip("/") else ""
    found: list[str] = []
    level, listed = [top], 0
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in range(MAX_DEPTH + 1):
            listed += len(level)
            if listed > max_folders:
                msg = f"More than {max_folders} folders are under {shown_url(location)}: name the file in `file_location`."
                raise InputError(msg, location=shown_url(location))
            below: list[str] = []
            for folders, files in threads.map(lambda prefix: list_folder(s3, bucket, prefix), level):
                found += [f"s3://{bucket}/{path.rstrip('/')}" for path in (*files, *folders) if is_nwb(path)]
                below += [path for path in folders if not path.lower().endswith((".nwb/", ".zarr/"))]
            if len(found) >= MAX_FOUND:
                break
            level = below
    return found[:MAX_FOUND]


def list_folder(s3: S3Server, bucket: str, prefix: str) -> tuple[list[str], list[str]]:
    """Return the folders (with a slash at their end) and files directly below a prefix.

    Parameters
    ----------
    s3 : S3Server
        Server of the bucket.
    bucket, prefix : str
        Bucket and prefix; the prefix is empty or ends in a slash.

    Raises
    ------
    InputError
        If the bucket is missing, or access is denied.
    ServerUnavailableError
        If S3 does not answer.
    """
    folders, files = [], []
    with _errors(s3, "list", f"s3://{bucket}/{prefix}"):
        pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        for page in pages:
            folders += [item["Prefix"] for item in page.get("CommonPrefixes", [])]
            files += [item["Key"] for item in page.get("Contents", []) if not item["Key"].endswith("/")]
    return folders, files


def exists_s3(s3: S3Server, url: str) -> bool:
    """Return whether there is an object of this name, or any object below it.

    Parameters
    ----------
    s3 : S3Server
        Server of the bucket.
    url : str
        URL ``s3://bucket/key`` of an object or prefix.

    Raises
    ------
    InputError
        If the bucket is missing, or access is denied.
    ServerUnavailableError
        If S3 does not answer.
    """
    bucket, key = split_s3_url(url)
    prefix = f"{key.rstrip('/')}/" if key.strip("/") else ""
    with _errors(s3, "list", f"s3://{bucket}/{prefix}"):
        answer = s3.client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    return bool(answer.get("Contents")) or (bool(prefix) and _head(s3, bucket, key.rstrip("/")) is not None)


def fetch_s3(s3: S3Server, url: str, place: Path, *, large_bytes: int = LARGE_BYTES) -> InputFile:
    """Download an object, or every object below a prefix.

    Parameters
    ----------
    s3 : S3Server
        Server of the bucket.
    url : str
        URL ``s3://bucket/key`` of an object or prefix.
    place : Path
        Path of the local file or directory.
    large_bytes : int
        Size of the parts in which larger objects are downloaded.

    Raises
    ------
    InputError
        If there is no object, access is denied, or a key would lead outside of the directory.
    InputChangedError
        If an object changed while it was read.
    ServerUnavailableError
        If S3 does not answer.
    """
    bucket, _ = split_s3_url(url)
    described, objects = _found(s3, url)
    if objects[0].path == "":
        _download(s3, bucket, objects[0], place, large_bytes)
    else:
        _download_all(objects, lambda item: _download(s3, bucket, item, place / item.path, large_bytes))
        _check_listing(s3, described)
    return described


def _check_listing(s3: S3Server, listed: InputFile) -> None:
    """Raise if a directory has other objects than when it was listed: some may have come after their turn."""
    try:
        now = describe_s3(s3, listed.url)
    except InputError:  # all objects are gone
        now = None
    if now is None or now.etag != listed.etag:
        msg = (
            f"The input {shown_url(listed.url)} changed while it was read: it held {counted(listed.files, 'object')} at the "
            f"start, and {counted(now.files if now else 0, 'object')}, or others, at the end. Run the job again when no "
            "program writes to it."
        )
        raise InputChangedError(msg, location=shown_url(listed.url))


def describe_s3(s3: S3Server, url: str) -> InputFile:
    """Return the current state of an object or directory without reading it; raises as `fetch_s3`."""
    return _found(s3, url)[0]


def _found(s3: S3Server, url: str) -> tuple[InputFile, list[_Object]]:
    """Return the object of exactly this name (with an empty path), or all objects below it."""
    bucket, key = split_s3_url(url)
    single = None if key.endswith("/") or not key else _head(s3, bucket, key)
    if single is not None:
        described = InputFile(
            url=url, etag=single.etag, bytes=single.bytes, modified=single.modified, version_id=single.version_id
        )
        return described, [single]
    objects = _objects_below(s3, bucket, f"{key.rstrip('/')}/", url=url)
    described = InputFile(
        url=url,
        etag=_digest(objects),
        bytes=sum(item.bytes for item in objects),
        files=len(objects),
        modified=max(item.modified for item in objects),
    )
    return described, objects


def _head(s3: S3Server, bucket: str, key: str) -> _Object | None:
    """Return one object; None if there is none of exactly this name."""
    with _errors(s3, "look at", f"s3://{bucket}/{key}"):
        try:
            head = s3.client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
    return _Object(key, "", head["ContentLength"], etag_of(head), head["LastModified"], head.get("VersionId"))


def _objects_below(s3: S3Server, bucket: str, prefix: str, *, url: str) -> list[_Object]:
    """List a directory by path; raise for keys that are not paths below it."""
    with _errors(s3, "list", f"s3://{bucket}/{prefix}"):
        pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        items: list[Any] = [item for page in pages for item in page.get("Contents", [])]
    objects = [
        _Object(item["Key"], item["Key"].removeprefix(prefix), item["Size"], etag_of(item), item["LastModified"])
        for item in items
        if not item["Key"].endswith("/")
    ]
    if not objects:
        msg = f"The input {shown_url(url)} does not exist on {s3.name}. {_HINT}"
        raise InputError(msg, location=shown_url(url))
    for item in objects:
        if {"", ".", ".."} & set(item.path.split("/")) or re.search(r"[\x00-\x1f\x7f]", item.path):
            msg = f"The input {shown_url(url)} holds the key {item.key!r}, which is not a path below it: nothing was read."
            raise InputError(msg, location=shown_url(url))
    return sorted(objects, key=lambda item: item.path)


def _download_all(objects: Iterable[_Object], download: Callable[[_Object], None]) -> None:
    """Download objects in several threads; the first error ends the download."""
    threads = ThreadPoolExecutor(THREADS)
    try:
        for _ in threads.map(download, objects):
            pass
    finally:
        threads.shutdown(cancel_futures=True)


def _download(s3: S3Server, bucket: str, item: _Object, file: Path, large_bytes: int) -> None:
    """Download one object; raise if it has changed since it was listed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with _errors(s3, "download", f"s3://{bucket}/{item.key}"):
        try:
            if item.bytes > large_bytes:
                parts = TransferConfig(
                    multipart_threshold=large_bytes, multipart_chunksize=large_bytes, max_concurrency=4
                )
                s3.client.download_file(bucket, item.key, str(file), Config=parts)
                answer: Any = s3.client.head_object(Bucket=bucket, Key=item.key)
            else:
                answer = s3.client.get_object(Bucket=bucket, Key=item.key)
                with file.open("wb") as target, closing(answer["Body"]) as body:
                    for chunk in body.iter_chunks(_CHUNK):
                        target.write(chunk)
        except ClientError as error:
            if not is_missing(error):
                raise
            answer = {}
    if etag_of(answer) != item.etag:
        msg = f"The input s3://{bucket}/{item.key} changed while it was read: run the job again when no program writes to it."
        raise InputChangedError(msg, location=f"s3://{bucket}/{item.key}")


def _digest(objects: Iterable[_Object]) -> str:
    """Return a digest over the files of a directory: path, ETag and size of each, by path."""
    lines = "".join(f"{item.path}\0{item.etag}\0{item.bytes}\n" for item in objects)
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _errors(s3: S3Server, verb: str, url: str) -> AbstractContextManager[None]:
    """Convert errors of S3 to the platform's errors; denied access is an error of the input's URL."""
    return s3_errors(f"{verb} {url}", server=s3.name, denied=InputError, hint=_HINT, location=url)
