"""What the errors of S3 mean to the platform: the one place that knows."""

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
_DAMAGED = frozenset({"BadDigest", "XAmzContentSHA256Mismatch"})  # on its way: the next time it may arrive whole
_MISSING_BUCKET = "NoSuchBucket"
_DENIED = frozenset({401, 403})
_OUTDATED_KEYS = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_NOT_FOUND = 404
_NO_CODE = "400"  # what boto3 takes for the code where the answer is not XML, as of a Go server that expects TLS
_CLOCK_LIMIT_S = 14 * 60  # S3 refuses signatures that are more than 15 minutes off


@contextmanager
def s3_errors(
    what: str,
    *,
    server: str,
    denied: type[PermanentError] = SettingsError,
    hint: str = "",
    location: str | None = None,
) -> Iterator[None]:
    """Turn what boto3 raises into the platform's errors, so that a caller knows whether a retry would help.

    Parameters
    ----------
    what : str
        What is being tried, on which object: "read s3://bucket/key".
    server : str
        Which server, as `S3Server.name` calls it.
    denied : type of PermanentError
        What to raise when the server refuses, or has no such bucket.
    hint : str
        What to do about a refusal; by default the settings of the results are named.
    location : str, optional
        Attribute of the errors: the address of the object, without credentials.

    Raises
    ------
    ServerUnavailableError
        If the server does not answer, fails, or asks for fewer requests.
    SettingsError
        If its certificate is not trusted, or there are no credentials.
    PermanentError
        If it refuses. A missing object is left to the caller: ``ClientError``, see `is_missing`.
    """
    with error_context(location=location):
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
    if code in _BUSY | _DAMAGED or status in TRANSIENT_STATUSES:
        return _unavailable(what, server, error)
    ahead_s = _clock_ahead_s(error)
    if status != _NOT_FOUND and abs(ahead_s) > _CLOCK_LIMIT_S:  # this machine's fault, not the job's: transient
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
    """Return the error for a request that the server does not accept, or does not understand as S3."""
    if code == _NO_CODE and not error.operation_name.startswith("Head"):  # an answer to HEAD never has a body
        plain = "If it wants TLS, correct http:// or https:// in the address of the server."
        return ServerUnavailableError(f"Cannot {what}: {server} did not answer as S3 does (HTTP status 400). {plain}")
    return PermanentError(f"Cannot {what}: {server} rejected the request ({code}, HTTP status {status}).")


def _clock_ahead_s(error: ClientError) -> float:
    """Return by how much this machine's clock is ahead of the server's (s); 0 when the answer has no date."""
    date = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


def _unavailable(what: str, server: str, error: Exception) -> PlatformError:
    """Say which server did not do its work, or is not trusted, and which setting names it."""
    problem = tls_problem(error, authority="AWS_CA_BUNDLE", plain="http:// or https:// in the address of the server")
    if problem is not None and problem.lasting:
        return SettingsError(f"Cannot {what}: {server} is not trusted. {problem.advice}")
    reason = error_code(error) if isinstance(error, ClientError) else type(error).__name__
    more = f" {problem.advice}" if problem is not None else ""
    return ServerUnavailableError(
        f"Cannot {what}: {server} did not answer ({reason}). If this lasts, check it and AWS_ENDPOINT_URL.{more}"
    )
