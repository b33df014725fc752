"""Documents about environments in S3, each stored once under its digest: lists of packages, lock files, patches.

They are at ``s3://<ANALYSIS_BUCKET>/environments/``, beside the results: thousands of results share one environment. A result
id has 64 digits, so ``environments`` is not a result.
"""

import re
from hashlib import sha256
from typing import Literal

from botocore.exceptions import ClientError

from domain.errors import OutputError
from resources.result_store.store import ResultsStore
from resources.result_store.uploads import upload_whole
from resources.s3.errors import is_missing, s3_errors
from resources.s3.server import split_s3_url

ENVIRONMENTS = "environments/"
"""Folder of these documents below the root of the results."""

Suffix = Literal["json", "txt", "patch"]
"""Of a list of packages, a lock file, and the uncommitted changes of a working tree."""

_TYPES: dict[Suffix, str] = {"json": "application/json", "txt": "text/plain", "patch": "text/x-diff"}
_DIGEST = re.compile("[0-9a-f]{64}")


def environment_address(results: ResultsStore, digest: str, suffix: Suffix) -> str:
    """Return the S3 address of a document.

    Raises
    ------
    OutputError
        If the digest is not 64 hexadecimal digits.
    """
    if not _DIGEST.fullmatch(digest):
        msg = f"Not a digest: {digest!r}. Expected 64 hexadecimal digits."
        raise OutputError(msg)
    return f"s3://{results.root}/{ENVIRONMENTS}{digest}.{suffix}"


def store_environment(results: ResultsStore, content: bytes, suffix: Suffix) -> str:
    """Store a document, unless it is there, and return its sha256.

    Parameters
    ----------
    results : ResultsStore
        Store whose bucket receives it.
    content : bytes
        The document.
    suffix : str
        ``json``, ``txt`` or ``patch``.

    Raises
    ------
    ServerUnavailableError
        If S3 does not answer.
    """
    digest = sha256(content).hexdigest()
    address = environment_address(results, digest, suffix)
    bucket, key = split_s3_url(address)
    with s3_errors(f"store {address}", server=results.s3.server_name, location=address):
        try:
            results.s3.client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if not is_missing(error):
                raise
            upload_whole(results.s3, bucket, key, content, content_type=_TYPES[suffix])
    return digest


def read_environment(results: ResultsStore, digest: str, suffix: Suffix) -> bytes | None:
    """Return a document by its digest; None if it is not there.

    Raises
    ------
    OutputError
        If its content does not have this digest, or the digest is not one.
    ServerUnavailableError
        If S3 does not answer.
    """
    address = environment_address(results, digest, suffix)
    bucket, key = split_s3_url(address)
    with s3_errors(f"read {address}", server=results.s3.server_name, location=address):
        try:
            content: bytes = results.s3.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if is_missing(error):
                return None
            raise
    if (found := sha256(content).hexdigest()) != digest:
        msg = f"{address} was changed: the sha256 of its content is {found}. Delete it; the next run stores it again."
        raise OutputError(msg, location=address)
    return content
