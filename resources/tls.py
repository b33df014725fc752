"""What it means when a secure connection fails: the words of OpenSSL, urllib3 and pymongo, said for an operator."""

import re
from dataclasses import dataclass

_MEANINGS = (
    (r"SSL.*No such file or directory", True, "The file of trusted authorities cannot be read. Correct {authority}."),
    (
        r"mismatch, certificate is not valid|doesn't match",
        True,
        "Its certificate is for another host. Use a host name that the certificate has.",
    ),
    (r"certificate has expired", False, "Its certificate has expired. Renew it on the server."),
    (
        r"certificate verify failed",
        True,
        "Its certificate is not signed by an authority that is trusted here. Name the authority's file: {authority}.",
    ),
    (
        r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNEXPECTED_EOF_WHILE_READING",
        False,
        "It broke off the TLS handshake. If it does not speak TLS, correct {plain}.",
    ),
    (
        r"connection closed|connection was closed before we received",
        False,
        "It closed the connection. If it wants TLS, correct {plain}.",
    ),
)
"""Pattern, whether it lasts, and what to say; the first that fits counts."""


@dataclass(frozen=True)
class TlsProblem:
    """Why a secure connection failed.

    Attributes
    ----------
    told : str
        What is wrong and what to do, as whole sentences.
    lasting : bool
        Whether it stays so until somebody changes a setting. Otherwise the server may be the one to mend.
    """

    told: str
    lasting: bool


def tls_problem(error: BaseException, *, authority: str, plain: str) -> TlsProblem | None:
    """Tell what went wrong with a secure connection; None when the failure has nothing to do with it.

    Parameters
    ----------
    error : BaseException
        What the client library raised.
    authority : str
        The setting that names the file of trusted authorities.
    plain : str
        The setting that says whether the server is asked by TLS.
    """
    text = str(error).partition(", Timeout:")[0]  # pymongo goes on with every host that it knows
    for pattern, lasting, told in _MEANINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return TlsProblem(told.format(authority=authority, plain=plain), lasting)
    return None
