"""The connection to S3: one function builds every client, one place says what S3's errors mean.

A client costs 0.2 s and is safe to share between threads, so each process keeps one for each server. Credentials are
found by boto3 in its usual places; they are never part of Dagster's configuration, which everybody can read.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3.session
from boto3.exceptions import Boto3Error
from botocore import UNSIGNED, exceptions
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
)
from dagster_aws.s3 import S3Resource
from pydantic import Field
from s3transfer.exceptions import RetriesExceededError

from domain.errors import PermanentError, PlatformError, ServerUnavailableError, SettingsError
from resources.embedded import ServerAddresses, running

if TYPE_CHECKING:  # stubs are installed for development only
    from mypy_boto3_s3 import S3Client

ATTEMPTS = 5
_CONNECTION_FAILURES = (exceptions.ConnectionError, HTTPClientError, IncompleteReadError, RetriesExceededError)
_BUSY = frozenset({"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "RequestLimitExceeded"})
_MISSING_BUCKET = "NoSuchBucket"
_SERVER_ERROR = 500
_DENIED = frozenset({401, 403})
_TOO_MANY = 429


@dataclass(frozen=True)
class _Server:
    """What tells one client from another; the key pair is only known for the embedded server."""

    endpoint_url: str | None
    region_name: str | None = None
    profile_name: str | None = None
    unsigned: bool = False
    verify: bool | None = None
    use_ssl: bool = True
    access_key: str | None = None
    secret_key: str | None = None


class S3Connection(S3Resource):
    """A lazy connection to one S3 server: the embedded one, a named one, or AWS.

    See https://docs.dagster.io/integrations/libraries/aws for the resource that this one extends.
    """

    embedded_home: str | None = Field(
        default=None, description="Folder of the embedded servers; set: their S3 is used, whatever else is configured."
    )

    @property
    def client(self) -> "S3Client":
        """The process's only client for the server, safe to share between threads.

        Raises
        ------
        ServerUnavailableError
            If the embedded servers are meant and do not run.
        SettingsError
            If keys are part of the configuration, where everybody could read them.
        """
        return _client(self._server(), os.getpid())

    @property
    def embedded(self) -> ServerAddresses | None:
        """Addresses of the embedded servers; None when another S3 is used.

        Raises
        ------
        ServerUnavailableError
            If the embedded servers are meant and do not run.
        """
        return None if self.embedded_home is None else _embedded(self.embedded_home)

    @property
    def server_name(self) -> str:
        """What to call the server in messages."""
        if self.embedded_home is not None:
            return f"the embedded S3 of {self.embedded_home}"
        return self.endpoint_url or "AWS S3"

    def get_client(self) -> Any:
        """Return `client`, under the name that the parent class gives it."""
        return self.client

    def get_object_to_set_on_execution_context(self) -> Any:
        """Return the resource itself: a client is built when something is asked of S3, not before."""
        return self

    def ensure_bucket(self, bucket: str) -> None:
        """Create a bucket on the embedded server; buckets elsewhere belong to somebody, who creates them.

        Parameters
        ----------
        bucket : str
            Its name.
        """
        if self.embedded_home is None:
            return
        with s3_errors(f"create the bucket {bucket}", server=self.server_name):
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
        with s3_errors(f"look for the bucket {bucket}", server=self.server_name):
            try:
                self.client.head_bucket(Bucket=bucket)
            except ParamValidationError:  # no server can have a bucket of this name
                return False
            except ClientError as error:
                if is_missing(error):
                    return False
                raise
        return True

    def _server(self) -> _Server:
        """Return what the client depends on."""
        if self.aws_access_key_id or self.aws_secret_access_key or self.aws_session_token:
            msg = "S3 keys must not be part of Dagster's configuration: set AWS_ACCESS_KEY_ID and its like instead."
            raise SettingsError(msg)
        if (embedded := self.embedded) is not None:
            return _Server(
                endpoint_url=embedded.s3_endpoint,
                region_name="us-east-1",
                access_key=embedded.access_key,
                secret_key=embedded.secret_key,
            )
        return _Server(
            endpoint_url=self.endpoint_url,
            region_name=self.region_name,
            profile_name=self.profile_name,
            unsigned=self.use_unsigned_session,
            verify=self.verify,
            use_ssl=self.use_ssl,
        )


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


@contextmanager
def s3_errors(
    what: str, *, server: str, denied: type[PermanentError] = SettingsError, hint: str = ""
) -> Iterator[None]:
    """Turn what boto3 raises into the platform's errors, so that a caller knows whether a retry would help.

    Parameters
    ----------
    what : str
        What is being tried, on which object: "read s3://bucket/key".
    server : str
        Which server, as `S3Connection.server_name` calls it.
    denied : type of PermanentError
        What to raise when the server refuses, or has no such bucket.
    hint : str
        What to do about a refusal; by default the settings of the results are named.

    Raises
    ------
    ServerUnavailableError
        If the server does not answer, fails, or asks for fewer requests.
    PermanentError
        If it refuses. A missing object is left to the caller: ``ClientError``, see `is_missing`.
    """
    try:
        yield
    except ClientError as error:
        raised = _meaning(error, what=what, server=server, denied=denied, hint=hint)
        if raised is None:
            raise
        raise raised from None
    except Boto3Error as error:  # a failed transfer hides what happened in its context
        cause = error.__context__
        if isinstance(cause, ClientError) and (raised := _meaning(cause, what=what, server=server, denied=denied)):
            raise raised from None
        raise _unavailable(what, server, error) from error
    except _CONNECTION_FAILURES as error:
        raise _unavailable(what, server, error) from error
    except ParamValidationError as error:
        msg = f"Cannot {what}: it has a bucket or key that S3 does not allow. {hint}"
        raise denied(msg) from error
    except BotoCoreError as error:  # no credentials, no region, an unknown profile
        msg = f"Cannot {what} on {server}: {error}. Check AWS_ENDPOINT_URL and the AWS_* credentials."
        raise SettingsError(msg) from error


def error_code(error: ClientError) -> str:
    """Return S3's word for what went wrong, or the HTTP status when the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: ClientError) -> bool:
    """Tell whether S3 says that an object (or, asked for with ``head_bucket``, a bucket) does not exist."""
    return error_code(error) in {"404", "NoSuchKey", "NotFound"}


def etag_of(answer: Any) -> str:
    """Return the ETag of an answer or a listed object without the quotes that some servers put around it."""
    return str(answer.get("ETag", "")).strip('"')


def _meaning(
    error: ClientError, *, what: str, server: str, denied: type[PermanentError], hint: str = ""
) -> PlatformError | None:
    """Return what an answer of S3 means to the platform; None when the caller should see it."""
    code, status = error_code(error), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _BUSY or status >= _SERVER_ERROR or status == _TOO_MANY:
        return _unavailable(what, server, error)
    if code == _MISSING_BUCKET:
        hint = hint or "Create the bucket, or correct ANALYSIS_BUCKET and AWS_ENDPOINT_URL."
        return denied(f"Cannot {what}: {server} has no such bucket. {hint}")
    if status in _DENIED:
        hint = hint or "Check the AWS_* credentials, their permissions and AWS_ENDPOINT_URL."
        return denied(f"Cannot {what}: {server} refused access ({code}). {hint}")
    if is_missing(error):
        return None
    return PermanentError(f"Cannot {what}: {server} refused ({code}, HTTP status {status}).")


def _unavailable(what: str, server: str, error: Exception) -> ServerUnavailableError:
    """Say which server did not do its work, and which setting names it."""
    reason = error_code(error) if isinstance(error, ClientError) else type(error).__name__
    msg = f"Cannot {what}: {server} did not answer ({reason}). If this lasts, check it and AWS_ENDPOINT_URL."
    return ServerUnavailableError(msg)


def _embedded(home: str) -> ServerAddresses:
    """Return the addresses of a folder's servers, read again whenever the supervisor has written them anew."""
    try:
        written = (Path(home) / "servers.json").stat().st_mtime_ns
    except OSError:
        written = 0
    return _embedded_as_written(home, written)


@lru_cache(maxsize=16)
def _embedded_as_written(home: str, written: int) -> ServerAddresses:  # noqa: ARG001 - the time is part of the key
    """Return the addresses of a folder's servers, after asking whether they answer."""
    addresses = running(Path(home))
    if addresses is None:
        msg = (
            f"The embedded servers of {home} are not running: start them with `make dev`, or set ANALYSIS_BUCKET "
            "(and AWS_ENDPOINT_URL) to use another S3 server."
        )
        raise ServerUnavailableError(msg)
    return addresses


_building = threading.Lock()


def _client(server: _Server, pid: int) -> "S3Client":
    """Return this process's client for a server."""
    with _building:  # two threads that ask at once get one client
        return _built_client(server, pid)


@lru_cache(maxsize=32)
def _built_client(server: _Server, pid: int) -> "S3Client":  # noqa: ARG001 - a forked process needs its own connections
    """Build a client."""
    session = boto3.session.Session(profile_name=server.profile_name)
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=32,
        # Other servers than AWS know neither boto3's new checksums nor host names for buckets.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version=UNSIGNED if server.unsigned else "s3v4",
        s3={"addressing_style": "path"} if server.endpoint_url else {"addressing_style": "auto"},
    )
    return session.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.region_name,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        use_ssl=server.use_ssl,
        verify=server.verify,
        config=config,
    )
