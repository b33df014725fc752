"""Explains failed TLS connections: one line of advice, and the message of OpenSSL or the system."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import BadStatusLine
from typing import Literal, TypeGuard

from urllib3.exceptions import SSLError
from urllib3.util.ssl_match_hostname import CertificateError

from domain.redaction import redacted

_Kind = Literal["host", "expired", "authority", "file", "handshake", "closed"]

_ADVICE: dict[_Kind, tuple[str, bool]] = {
    "host": ("Its certificate is for another host. Use a host name that the certificate has.", True),
    "expired": ("Its certificate has expired. Renew it on the server.", False),
    "authority": (
        "Its certificate is not signed by an authority that is trusted here. Name the authority's file: {authority}.",
        True,
    ),
    "file": ("The file of trusted authorities cannot be read. Correct {authority}.", True),
    "handshake": ("It broke off the TLS handshake. If it does not speak TLS, correct {plain}.", False),
    "closed": ("It closed the connection. If it wants TLS, correct {plain}.", False),
}
"""Advice for each kind of failure, and whether the failure is permanent."""

_VERIFY_CODES: dict[int, _Kind] = {10: "expired", 62: "host", 64: "host"}
"""X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH; other codes concern the authority."""

_FILE_FORMATS = frozenset({"PEM", "X509"})
_DEPTH = 10

# pymongo's monitor removes the cause of a failed connection before the error is raised, so only its text remains.
_OPENSSL_TEXT = re.compile(r"\[SSL: (?P<reason>\w+)\] (?:certificate verify failed: )?(?P<text>[^()]+?)\.? \(_ssl")
_VERIFY_TEXTS: tuple[tuple[str, _Kind], ...] = (("certificate has expired", "expired"), ("mismatch", "host"))
_CLOSED_TEXT = "connection closed"


@dataclass(frozen=True)
class TlsProblem:
    """Why a TLS connection failed.

    Attributes
    ----------
    advice : str
        Sentences with the problem and what to do, then the text of the cause.
    lasting : bool
        Whether an operator has to change a setting. Otherwise the server may have to be repaired.
    """

    advice: str
    lasting: bool


def tls_problem(error: BaseException, *, authority: str, plain: str) -> TlsProblem | None:
    """Return why a TLS connection failed; None if the error has another reason.

    Parameters
    ----------
    error : BaseException
        Error of the client library, with its causes.
    authority : str
        Name of the setting for the file of trusted authorities.
    plain : str
        Name of the setting that enables TLS.
    """
    found = _by_type(error) or _by_text(error)
    if found is None:
        return None
    kind, text = found
    advice, lasting = _ADVICE[kind]
    return TlsProblem(
        f"{advice.format(authority=authority, plain=plain)} Cause: {redacted(text).rstrip('.')}.", lasting
    )


def cause_of(error: BaseException) -> OSError | None:
    """Return the error of the socket or OpenSSL that a client library wrapped, to chain it.

    The messages of the wrappers may contain a whole URL with its query; this one does not.

    Parameters
    ----------
    error : BaseException
        Error of the client library.

    Returns
    -------
    OSError or None
        None if there is no such error.
    """
    return next((cause for cause in _chain(error) if _is_pythons(cause)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, up to the first error of Python itself."""
    cause: BaseException | None = error
    for _ in range(_DEPTH):
        if cause is None:
            return
        yield cause
        cause = None if _is_pythons(cause) else _wrapped_by(cause)


def _wrapped_by(error: BaseException) -> BaseException | None:
    """Return the error that a client library wrapped.

    ``__context__`` is not used: the caller may be handling an error of another connection.
    """
    kwargs = getattr(error, "kwargs", None)  # botocore
    given = (
        error.__cause__,
        getattr(error, "reason", None),  # urllib3
        getattr(error, "last_exception", None),  # s3transfer
        kwargs.get("error") if isinstance(kwargs, dict) else None,
        *error.args,  # requests
    )
    return next((cause for cause in given if isinstance(cause, BaseException)), None)


def _is_pythons(error: BaseException) -> TypeGuard[OSError]:
    """Return whether an error comes from the socket, OpenSSL or the file system: client libraries subclass OSError too."""
    return isinstance(error, OSError) and type(error).__module__ in {"builtins", "ssl", "socket", "http.client"}


def _by_type(error: BaseException) -> tuple[_Kind, str] | None:
    """Return the kind of a failure by the types in its chain, and its text."""
    outer = error
    for cause in _chain(error):
        if isinstance(cause, CertificateError):  # urllib3 compares the names itself if the server has an IP address
            return "host", str(cause)
        if isinstance(cause, ssl.SSLError):
            return _kind_of(cause), str(getattr(cause, "verify_message", None) or cause.reason or cause)
        if isinstance(cause, FileNotFoundError | PermissionError) and isinstance(outer, SSLError):
            return "file", cause.strerror or str(cause)
        if isinstance(cause, ConnectionResetError | BadStatusLine):
            return "closed", getattr(cause, "strerror", None) or str(cause)
        outer = cause
    return None


def _kind_of(error: ssl.SSLError) -> _Kind:
    """Return the kind of an error of OpenSSL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY_CODES.get(error.verify_code, "authority")
    return "file" if error.library in _FILE_FORMATS else "handshake"


def _by_text(error: BaseException) -> tuple[_Kind, str] | None:
    """Return the kind of a failure whose cause pymongo removed, and the text of the cause."""
    if not type(error).__module__.startswith("pymongo."):
        return None
    text = str(error)
    if _CLOSED_TEXT in text:
        return "closed", _CLOSED_TEXT
    if (found := _OPENSSL_TEXT.search(text)) is None:
        return None
    if found["reason"] != "CERTIFICATE_VERIFY_FAILED":
        return "handshake", found["text"]
    return next((kind for mark, kind in _VERIFY_TEXTS if mark in found["text"]), "authority"), found["text"]
