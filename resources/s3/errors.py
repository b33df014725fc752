"""Converts errors of S3 into those of the platform, for all requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from boto3.exceptions import Boto3Error
from botocore import exceptions
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
)
from s3transfer.exceptions import RetriesExceededError

from domain.errors import PermanentError, PlatformError, ServerUnavailableError, SettingsError, error_context
from domain.retry import TRANSIENT_STATUSES
from resources.clients.tls import tls_problem

_CONNECTION_FAILURES = (exceptions.ConnectionError, HTTPClientError, IncompleteReadError, RetriesExceededError)
_BUSY = frozenset({"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "RequestLimitExceeded"})
_DAMAGED = frozenset({"BadDigest", "XAmzContentSHA256Mismatch"})  # in transit: a retry may succeed
_MISSING_BUCKET = "NoSuchBucket"
_DENIED = frozenset({401, 403})
_OUTDATED_KEYS = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_NOT_FOUND = 404
_NO_CODE = "400"  # code of boto3 for a response that is not XML, such as that of a Go server that expects TLS
_CLOCK_LIMIT_S = 14 * 60  # S3 rejects signatures with a difference of more than 15 minutes


@contextmanager
def s3_errors(
    what: str,
    *,
    server: str,
    denied: type[PermanentError] = SettingsError,
    hint: str = "",
    location: str | None = None,
) -> Iterator[None]:
    """Convert exceptions of boto3 into those of the platform, which say whether a retry may help.

    Parameters
    ----------
    what : str
        Action and object for the message, such as "read s3://bucket/key".
    server : str
        Name of the server, from `S3Server.name`.
    denied : type of PermanentError
        Exception for a rejected request, or a missing bucket.
    hint : str
        Advice for a rejected request; by default names the settings of the results.
    location : str, optional
        Address of the object, without credentials; an attribute of the exceptions.

    Raises
    ------
    ServerUnavailableError
        If the server does not answer, fails, or limits the request rate.
    SettingsError
        If its certificate is not trusted, or there are no credentials.
    PermanentError
        If it rejects the request. For a missing object the ``ClientError`` is not converted; see `is_missing`.
    """
    with error_context(location=location):
        try:
            yield
        except ClientError as error:
            raised = _meaning(error, what=what, server=server, denied=denied, hint=hint)
            if raised is None:
                raise
            raise raised from None
        except Boto3Error as error:  # a failed transfer has its cause in its context
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
    """Return the error code of S3, or the HTTP status if the response has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: ClientError) -> bool:
    """Return whether an error means that an object (for ``head_bucket``: a bucket) does not exist."""
    return error_code(error) in {"404", "NoSuchKey", "NotFound"}


def etag_of(answer: Any) -> str:
    """Return the ETag of a response or a listed object without the quotes that some servers put around it."""
    return str(answer.get("ETag", "")).strip('"')


def _meaning(
    error: ClientError, *, what: str, server: str, denied: type[PermanentError], hint: str = ""
) -> PlatformError | None:
    """Return the exception for an error of S3; None if the caller handles the error."""
    code, status = error_code(error), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _BUSY | _DAMAGED or status in TRANSIENT_STATUSES:
        return _unavailable(what, server, error)
    ahead_s = _clock_ahead_s(error)
    if status != _NOT_FOUND and abs(ahead_s) > _CLOCK_LIMIT_S:  # caused by this host, not by the job: transient
        way = "ahead of" if ahead_s > 0 else "behind"
        msg = f"Cannot {what}: this machine's clock is {abs(ahead_s):.0f} s {way} that of {server}. Set it (NTP)."
        return ServerUnavailableError(msg)
    if code == _MISSING_BUCKET:
        hint = hint or "Create the bucket, or correct ANALYSIS_BUCKET and AWS_ENDPOINT_URL."
        return denied(f"Cannot {what}: {server} has no such bucket. {hint}")
    if status in _DENIED or code in _OUTDATED_KEYS:
        hint = hint or "Check the AWS_* credentials, their permissions and AWS_ENDPOINT_URL."
        return denied(f"Cannot {what}: {server} denied access ({code}). {hint}")
    if is_missing(error):
        return None
    return _rejected(error, code, status, what=what, server=server)


def _rejected(error: ClientError, code: str, status: int, *, what: str, server: str) -> PlatformError:
    """Return the error for a request that the server does not accept, or does not recognize as an S3 request."""
    if code == _NO_CODE and not error.operation_name.startswith("Head"):  # a response to HEAD never has a body
        plain = "If it wants TLS, correct http:// or https:// in the address of the server."
        return ServerUnavailableError(f"Cannot {what}: {server} did not answer as S3 does (HTTP status 400). {plain}")
    return PermanentError(f"Cannot {what}: {server} rejected the request ({code}, HTTP status {status}).")


def _clock_ahead_s(error: ClientError) -> float:
    """Return how far this host's clock is ahead of the server's (s); 0 if the response has no date."""
    date = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def _unavailable(what: str, server: str, error: Exception) -> PlatformError:
    """Return the exception for a server that does not answer or is not trusted; names its setting."""
    problem = tls_problem(error, authority="AWS_CA_BUNDLE", plain="http:// or https:// in the address of the server")
    if problem is not None and problem.lasting:
        return SettingsError(f"Cannot {what}: {server} is not trusted. {problem.advice}")
    reason = error_code(error) if isinstance(error, ClientError) else type(error).__name__
    more = f" {problem.advice}" if problem is not None else ""
    return ServerUnavailableError(
        f"Cannot {what}: {server} did not answer ({reason}). If this lasts, check it and AWS_ENDPOINT_URL.{more}"
    )
