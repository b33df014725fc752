"""Lists attempts: the complete ones of a result, and all objects below the root, in constant memory, for audits and cleaning."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from botocore.exceptions import ClientError

from resources.result_store.catalog_files import CATALOGS
from resources.result_store.environments import ENVIRONMENTS
from resources.result_store.names import METADATA, check_result, is_attempt, is_result
from resources.result_store.store import ResultsStore
from resources.result_store.stored_file import StoredFile
from resources.s3.errors import etag_of, is_missing, s3_errors
from resources.s3.server import split_s3_url

_NOT_RESULTS = (CATALOGS, ENVIRONMENTS)
_BY_DIGITS = re.compile("[0-9a-f]{2}")


@dataclass
class StoredAttempt:
    """One attempt's folder.

    Attributes
    ----------
    result_id, attempt : str
        Result and attempt of the folder.
    files : list of StoredFile
        Its files, as listed.
    newest : datetime
        Time at which its latest file was written, by the server's clock.
    """

    result_id: str
    attempt: str
    newest: datetime
    files: list[StoredFile] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the attempt has its last-written file."""
        return any(file.path == METADATA for file in self.files)

    @property
    def bytes(self) -> int:
        """Total size of the files (bytes)."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class ForeignObject:
    """An object below the root that belongs to no attempt."""

    key: str


def complete_attempts(results: ResultsStore, result_id: str) -> list[str]:
    """Return the complete attempts of a result, the earliest first.

    Parameters
    ----------
    results : ResultsStore
        Store of the files.
    result_id : str
        64 hexadecimal digits.

    Raises
    ------
    OutputError
        If the result id has another format.
    ServerUnavailableError
        If S3 does not answer.
    """
    check_result(result_id)
    folder = f"s3://{results.root}/{result_id}"
    bucket, prefix = split_s3_url(f"{folder}/")
    pages = results.s3.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    with s3_errors(f"list the attempts of {result_id}", server=results.s3.server_name, location=folder):
        folders = [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", [])]
    names = [folder.removeprefix(prefix).rstrip("/") for folder in folders]
    completed = [(_completed(results, bucket, f"{prefix}{name}"), name) for name in names if is_attempt(name)]
    return [name for _, name in sorted((when, name) for when, name in completed if when is not None)]


def _completed(results: ResultsStore, bucket: str, folder: str) -> datetime | None:
    """Return when the attempt in a folder was completed; None if it is incomplete."""
    what = f"look at attempt {folder.rpartition('/')[2]}"
    with s3_errors(what, server=results.s3.server_name, location=f"s3://{bucket}/{folder}"):
        try:
            head = results.s3.client.head_object(Bucket=bucket, Key=f"{folder}/{METADATA}")
        except ClientError as error:
            if is_missing(error):
                return None
            raise
    return head["LastModified"]


def stored_attempts(results: ResultsStore, *, others: bool = False) -> Iterator[StoredAttempt | ForeignObject]:
    """Yield every attempt below the root with its files, and every object that belongs to none.

    Uses one listing of the root. S3 lists by key, so the files of an attempt are consecutive, and only one attempt is in
    memory at a time.

    Parameters
    ----------
    results : ResultsStore
        Store whose root is listed.
    others : bool
        Also list objects whose names are not those of results.

    Raises
    ------
    ServerUnavailableError
        If S3 does not answer.
    """
    current: StoredAttempt | None = None
    for key, stored, modified in _objects(results, others=others):
        result_id, _, rest = key.partition("/")
        attempt, _, path = rest.partition("/")
        if not (is_result(result_id) and is_attempt(attempt) and path):
            if not (
                key.endswith("/") or key.startswith(_NOT_RESULTS)
            ):  # consoles create empty objects to show a folder
                yield ForeignObject(key)
            continue
        if current is None or (current.result_id, current.attempt) != (result_id, attempt):
            if current is not None:
                yield current
            current = StoredAttempt(result_id, attempt, modified)
        current.files.append(StoredFile(path, stored.bytes, stored.etag))
        current.newest = max(current.newest, modified)
    if current is not None:
        yield current


def _objects(results: ResultsStore, *, others: bool) -> Iterator[tuple[str, StoredFile, datetime]]:
    """Yield every object below the root: relative key, stored file, and time of writing.

    If there is more than one page, the listing is split by the first two digits of the result ids: some servers scan all
    objects below a prefix for each page.
    """
    bucket, _, prefix = results.root.partition("/")
    prefix = f"{prefix}/" if prefix else ""
    root = f"s3://{bucket}/{prefix}"
    with s3_errors(f"list {root}", server=results.s3.server_name, location=root):
        whole = not results.s3.client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("IsTruncated")
    starts = [prefix] if whole else [f"{prefix}{start:02x}" for start in range(256)]
    for start in (*starts, *(_names_of_no_result(results, bucket, prefix) if others and not whole else ())):
        for item in results.objects_below(bucket, start):
            key = item["Key"].removeprefix(prefix)
            yield key, StoredFile(key, item["Size"], etag_of(item)), item["LastModified"]


def _names_of_no_result(results: ResultsStore, bucket: str, prefix: str) -> Iterator[str]:
    """Yield the folders and objects directly below the root that do not belong to results."""
    root = f"s3://{bucket}/{prefix}"
    with s3_errors(f"list {root}", server=results.s3.server_name, location=root):
        pages = results.s3.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        for page in pages:
            names = [folder["Prefix"] for folder in page.get("CommonPrefixes", [])]
            names += [item["Key"] for item in page.get("Contents", [])]
            yield from (name for name in names if not _BY_DIGITS.match(name.removeprefix(prefix)))
