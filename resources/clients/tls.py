"""What a failed secure connection means: one line of advice, and the cause as OpenSSL or the system says it."""

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
"""For each kind of failure: what to do, and whether it lasts."""

_VERIFY_CODES: dict[int, _Kind] = {10: "expired", 62: "host", 64: "host"}
"""X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH; any other code is about the authority."""

_FILE_FORMATS = frozenset({"PEM", "X509"})
_DEPTH = 10

# pymongo's monitor removes the cause of a failed connection before the error is raised, so that only its text is left.
_OPENSSL_TEXT = re.compile(r"\[SSL: (?P<reason>\w+)\] (?:certificate verify failed: )?(?P<text>[^()]+?)\.? \(_ssl")
_VERIFY_TEXTS: tuple[tuple[str, _Kind], ...] = (("certificate has expired", "expired"), ("mismatch", "host"))
_CLOSED_TEXT = "connection closed"


@dataclass(frozen=True)
class TlsProblem:
    """Why a secure connection failed.

    Attributes
    ----------
    advice : str
        What is wrong and what to do, then the text of the cause, as whole sentences.
    lasting : bool
        Whether it stays so until an operator changes a setting. Otherwise the server may have to be repaired.
    """

    advice: str
    lasting: bool


def tls_problem(error: BaseException, *, authority: str, plain: str) -> TlsProblem | None:
    """Return why a secure connection failed; None when the failure has nothing to do with it.

    Parameters
    ----------
    error : BaseException
        What the client library raised, with its causes.
    authority : str
        The setting that names the file of trusted authorities.
    plain : str
        The setting that switches TLS on or off.
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
    """Return the error of the socket or of OpenSSL that a client library wrapped, to be chained.

    The texts of the wrappers may hold a whole address with its query; this one never does.

    Parameters
    ----------
    error : BaseException
        What the client library raised.

    Returns
    -------
    OSError or None
        None if there is no such error.
    """
    return next((cause for cause in _chain(error) if _is_pythons(cause)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it comes from, as far as the first error of Python itself."""
    cause: BaseException | None = error
    for _ in range(_DEPTH):
        if cause is None:
            return
        yield cause
        cause = None if _is_pythons(cause) else _wrapped_by(cause)


def _wrapped_by(error: BaseException) -> BaseException | None:
    """Return what a client library wrapped.

    Not ``__context__``: the caller may be handling the failure of another connection, which would count as this one's.
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
        if isinstance(cause, CertificateError):  # urllib3 compares the names itself where the server has an IP address
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
