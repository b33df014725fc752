"""An S3 server: the embedded one, a configured one, or AWS. Imports no Dagster, which would slow down worker processes.

One function builds every client. A client takes 0.2 s to build and is thread-safe, so each process has one per server.
boto3 finds credentials in its usual places.
"""

import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3.session
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from botocore.utils import determine_content_length
from s3transfer.manager import TransferConfig, TransferManager

from domain.errors import PermanentError, SettingsError
from resources.embedded.embedded import ServerAddresses, addresses_of
from resources.s3.errors import error_code, is_missing, s3_errors

if TYPE_CHECKING:  # stubs are only installed for development
    from mypy_boto3_s3 import S3Client

SINGLE_PUT_BYTES = 16 * 1024 * 1024
"""Maximum size of files that are uploaded in one request, whose response has their ETag; part size of larger ones."""

PARTS_IN_MEMORY, LARGE_AT_ONCE = 4, 2
"""Number of parts of large files, and number of large files, that a process uploads concurrently."""

EXPECT_FROM_BYTES = 2 * 1024 * 1024
"""Minimum size of files that are sent only after the server accepts the headers, so that rejected ones are not sent."""


@dataclass(frozen=True)
class S3Server:
    """The options of a server, and its client.

    Attributes
    ----------
    endpoint_url, region_name, profile_name : str or None
        Arguments of boto3.
    unsigned : bool
        Send requests without credentials.
    verify, use_ssl : bool
        Arguments of boto3.
    max_attempts : int
        Maximum number of tries of a request, including the first. ``AWS_MAX_ATTEMPTS`` and ``max_attempts`` in the AWS
        configuration take precedence.
    read_timeout_s : float
        Timeout of a response (s).
    embedded_home : str or None
        Folder of the embedded servers. If set, their S3 is used and other options are ignored.
    """

    endpoint_url: str | None = None
    region_name: str | None = None
    profile_name: str | None = None
    unsigned: bool = False
    verify: bool | None = None
    use_ssl: bool = True
    max_attempts: int = 5
    read_timeout_s: float = 60.0
    embedded_home: str | None = None

    @property
    def client(self) -> "S3Client":
        """The process's only client for the server; thread-safe.

        Raises
        ------
        ServerUnavailableError
            If the embedded servers are meant and do not run.
        """
        return self._built.client

    @property
    def transfers(self) -> TransferManager:
        """The process's only transfer manager for large files, which bounds their memory."""
        return self._built.transfers

    @property
    def _built(self) -> "_Built":
        """Client and transfer manager of this process for the server."""
        with _building:  # concurrent threads get the same client
            return _build(self, self.embedded, os.getpid())

    @property
    def embedded(self) -> ServerAddresses | None:
        """Addresses of the embedded servers; None if another S3 is used.

        Raises
        ------
        ServerUnavailableError
            If the embedded servers are meant and do not run.
        """
        return None if self.embedded_home is None else addresses_of(self.embedded_home)

    @property
    def name(self) -> str:
        """Name of the server for messages."""
        if self.embedded_home is not None:
            return f"the embedded S3 of {self.embedded_home}"
        return self.endpoint_url or "AWS S3"

    def ensure_bucket(self, bucket: str) -> None:
        """Create a bucket on the embedded server; on other servers their owners create buckets.

        Parameters
        ----------
        bucket : str
            Name of the bucket.
        """
        if self.embedded_home is None:
            return
        with s3_errors(f"create the bucket {bucket}", server=self.name):
            try:
                self.client.create_bucket(Bucket=bucket)
            except ClientError as error:
                if error_code(error) not in {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}:
                    raise

    def has_bucket(self, bucket: str) -> bool:
        """Return whether the server has a bucket of this name.

        Parameters
        ----------
        bucket : str
            Name of the bucket.
        """
        with s3_errors(f"look for the bucket {bucket}", server=self.name):
            try:
                self.client.head_bucket(Bucket=bucket)
            except ParamValidationError:  # no server can have a bucket of this name
                return False
            except ClientError as error:
                if is_missing(error):
                    return False
                raise
        return True


def split_s3_url(url: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` into bucket and key.

    Parameters
    ----------
    url : str
        S3 URL; the key may be empty.

    Returns
    -------
    tuple of str
        Bucket, and key without a leading slash.

    Raises
    ------
    PermanentError
        If it is not such a URL.
    """
    scheme, separator, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() != "s3" or not separator or not bucket:
        msg = f"Not an S3 address: {url.partition('?')[0]!r}. Expected s3://bucket/key."
        raise PermanentError(msg)
    return bucket, key


_building = threading.Lock()


@dataclass(frozen=True)
class _Built:
    """A client, and the transfer manager that uses it."""

    client: "S3Client"
    transfers: TransferManager


@lru_cache(maxsize=32)
def _build(server: S3Server, embedded: ServerAddresses | None, pid: int) -> _Built:  # noqa: ARG001
    """Build both; the process id is part of the cache key, because a forked process needs its own connections."""
    core = botocore.session.Session(profile=server.profile_name)
    client = _client(core, server, embedded)
    config = TransferConfig(
        multipart_threshold=SINGLE_PUT_BYTES,
        multipart_chunksize=SINGLE_PUT_BYTES,
        max_request_concurrency=PARTS_IN_MEMORY,
        max_submission_concurrency=LARGE_AT_ONCE,
        max_in_memory_upload_chunks=PARTS_IN_MEMORY,
    )
    return _Built(client, TransferManager(client, config))


def forget_clients() -> None:
    """Discard this process's clients, so that the next use reads credentials and configuration again."""
    _build.cache_clear()


def _attempts(core: botocore.session.Session) -> int | None:
    """Return the maximum number of tries in the configuration of boto3; None if it is not set."""
    try:
        found: int | None = core.get_config_variable("max_attempts")
    except ValueError:
        found = 0
    if found is None or found >= 1:
        return found
    msg = (
        "AWS_MAX_ATTEMPTS, or max_attempts in the AWS configuration, is not a number of attempts. Set it to 1 or more."
    )
    raise SettingsError(msg)


def _client(core: botocore.session.Session, server: S3Server, embedded: ServerAddresses | None) -> "S3Client":
    endpoint_url = server.endpoint_url if embedded is None else embedded.s3_endpoint
    config = Config(
        connect_timeout=5,
        read_timeout=server.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": _attempts(core) or server.max_attempts},
        max_pool_connections=32,
        # Servers other than AWS support neither boto3's new checksums nor host names for buckets.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version=UNSIGNED if server.unsigned else "s3v4",
        s3={"addressing_style": "path"} if endpoint_url else {"addressing_style": "auto"},
    )
    client = boto3.session.Session(botocore_session=core).client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1" if embedded else server.region_name,
        aws_access_key_id=embedded.access_key if embedded else None,
        aws_secret_access_key=embedded.secret_key if embedded else None,
        use_ssl=server.use_ssl,
        verify=server.verify,
        config=config,
    )
    client.meta.events.register_last("before-call.s3", _send_small_body_at_once)
    return client


def _send_small_body_at_once(params: dict[str, Any], **_: object) -> None:
    """Remove the header with which boto3 waits for the server before each body, which only slows down small files."""
    size = determine_content_length(params["body"])
    if size is not None and size < EXPECT_FROM_BYTES:
        params["headers"].pop("Expect", None)
