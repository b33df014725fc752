"""Redacts secrets in texts.

It is applied to stored texts from outside: output and exceptions of user code, and the origin in a job file. Known
values are redacted everywhere, and so are the forms of secrets in URLs. Considered: detect-secrets (it guesses by
entropy, and would redact digests and ids, which are what we record).
"""

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

BLOT = "[secret removed]"
MIN_LENGTH = 8
"""Minimum length of a known value; a shorter one would also be found in ordinary words and numbers."""

_USER_INFO = re.compile(
    r"(?P<before>[A-Za-z][A-Za-z0-9+.\-]{0,20}:/{1,3})(?:[^\s/?#@:'\"<>]*:[^\s/@'\"<>]+|[^\s/?#@:'\"<>]{20,})@"
)
_SIGNED = re.compile(
    r"(?P<before>[?&;#](?:x-(?:amz|goog|ms)-(?:signature|credential|security-token)|signature|sig|[a-z_\-]{0,20}token|"
    r"api[_\-]?key|[a-z_\-]{0,20}secret|passw(?:or)?d|awsaccesskeyid)=)[^\s&;#'\"<>]+",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(
    r"(?!.*_(FILE|PATH|DIR|CREDENTIALS)$).*(SECRET|TOKEN|WEBHOOK|PASSW(OR)?D|CREDENTIAL|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY|_PASS$|_PWD$)",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(r"[\d.]*|true|false|none|null", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://(?P<user>[^/?#@]*):(?P<password>[^/@]+)@")


def redacted(text: str, *, secrets: Iterable[str] = ()) -> str:
    """Redact the secrets in a text.

    Parameters
    ----------
    text : str
        Text from outside, such as a log or a message.
    secrets : iterable of str
        Known values, from `spellings`.

    Returns
    -------
    str
        The redacted text; the same object if it contains no secret.
    """
    for secret in secrets:
        text = text.replace(secret, BLOT)
    if "/" in text and "@" in text:
        text = _USER_INFO.sub(rf"\g<before>{BLOT}@", text)
    return _SIGNED.sub(rf"\g<before>{BLOT}", text) if "=" in text else text


def redacted_value(value: Any, *, secrets: Iterable[str] = ()) -> Any:
    """Redact the secrets in every text of a JSON value, including keys."""
    if isinstance(value, str):
        return redacted(value, secrets=secrets)
    if isinstance(value, dict):
        return {redacted(k, secrets=secrets): redacted_value(v, secrets=secrets) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_value(inner, secrets=secrets) for inner in value]
    return value


def secrets_of(environment: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the secrets in variables: values of variables whose names suggest a secret, and passwords in URLs.

    Parameters
    ----------
    environment : iterable of (str, str)
        Names and values of environment variables.

    Returns
    -------
    tuple of str
        All spellings, from `spellings`.
    """
    found = set()
    for name, value in environment:
        if _SECRET_NAME.match(name) and not _NOT_SECRET.fullmatch(value):
            found.add(value)
        if (address := _ADDRESS.match(value)) is not None:
            found |= {address["password"], unquote(address["password"])}
    return spellings(found)


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return secrets in every spelling that a log may contain, the longest first, so that no part of one remains."""
    found = {secret for secret in secrets if len(secret) >= MIN_LENGTH}
    found |= {spelling for s in found for spelling in (quote(s, safe=""), quote(s), repr(s)[1:-1], json.dumps(s)[1:-1])}
    found |= {line for s in found for line in s.splitlines() if len(line) >= MIN_LENGTH}
    return tuple(sorted(found, key=lambda s: (-len(s), s)))
