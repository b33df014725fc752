"""One S3 server: the embedded one, a named one, or AWS. No Dagster here: worker processes start without it.

One function builds every client. A client costs 0.2 s and is safe to share between threads, so each process keeps one
for each server. Credentials are found by boto3 in its usual places.
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

if TYPE_CHECKING:  # stubs are installed for development only
    from mypy_boto3_s3 import S3Client

SINGLE_PUT_BYTES = 16 * 1024 * 1024
"""Files up to this size are uploaded in one request, so that its answer carries their ETag; larger ones in such parts."""

PARTS_IN_MEMORY, LARGE_AT_ONCE = 4, 2
"""How many parts of large files, and how many such files, are uploaded at once in a process."""

EXPECT_FROM_BYTES = 2 * 1024 * 1024
"""From this size on, a file is sent after the server accepts its headers: one that is rejected is not sent at all."""


@dataclass(frozen=True)
class S3Server:
    """What tells one server from another, and what is asked of any.

    Attributes
    ----------
    endpoint_url, region_name, profile_name : str or None
        As boto3 takes them.
    unsigned : bool
        Ask without credentials.
    verify, use_ssl : bool
        As boto3 takes them.
    max_attempts : int
        Requests until one counts as failed, the first included; where the person has set ``AWS_MAX_ATTEMPTS``, or
        ``max_attempts`` in the AWS configuration, that counts.
    read_timeout_s : float
        How long an answer may take (s).
    embedded_home : str or None
        Folder of the embedded servers; set: their S3 is used, whatever else is given.
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
        """The process's only client for the server, safe to share between threads.

        Raises
        ------
        ServerUnavailableError
            If the embedded servers are meant and do not run.
        """
        return self._built.client

    @property
    def transfers(self) -> TransferManager:
        """The process's only transfers of large files with `client`: what they hold in memory has one bound."""
        return self._built.transfers

    @property
    def _built(self) -> "_Built":
        """What this process has for the server."""
        with _building:  # two threads that ask at once get one client
            return _build(self, self.embedded, os.getpid())

    @property
    def embedded(self) -> ServerAddresses | None:
        """Addresses of the embedded servers; None when another S3 is used.

        Raises
        ------
        ServerUnavailableError
            If the embedded servers are meant and do not run.
        """
        return None if self.embedded_home is None else addresses_of(self.embedded_home)

    @property
    def name(self) -> str:
        """What to call the server in messages."""
        if self.embedded_home is not None:
            return f"the embedded S3 of {self.embedded_home}"
        return self.endpoint_url or "AWS S3"

    def ensure_bucket(self, bucket: str) -> None:
        """Create a bucket on the embedded server; buckets elsewhere belong to somebody, who creates them.

        Parameters
        ----------
        bucket : str
            Its name.
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
        """Tell whether the server has a bucket of this name.

        Parameters
        ----------
        bucket : str
            Its name.
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
        The address; the key may be empty.

    Returns
    -------
    tuple of str
        Bucket, and key without a leading slash.

    Raises
    ------
    PermanentError
        If it is no such address.
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
    """A client, and what stands on it."""

    client: "S3Client"
    transfers: TransferManager


@lru_cache(maxsize=32)
def _build(server: S3Server, embedded: ServerAddresses | None, pid: int) -> _Built:  # noqa: ARG001
    """Build all; the process is part of the key, because a forked one needs its own connections."""
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
    """Forget this process's clients: credentials and configuration are looked for again by what asks next."""
    _build.cache_clear()


def _attempts(core: botocore.session.Session) -> int | None:
    """Return how often the person who set up boto3 wants a request to be tried; None where nothing is said."""
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
    """Build a client."""
    endpoint_url = server.endpoint_url if embedded is None else embedded.s3_endpoint
    config = Config(
        connect_timeout=5,
        read_timeout=server.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": _attempts(core) or server.max_attempts},
        max_pool_connections=32,
        # Other servers than AWS know neither boto3's new checksums nor host names for buckets.
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
    """Remove the header by which boto3 waits before each body until the server agrees: a small file has no use for it."""
    size = determine_content_length(params["body"])
    if size is not None and size < EXPECT_FROM_BYTES:
        params["headers"].pop("Expect", None)
