"""Secrets in texts: which places of a text hold one, and what is written instead.

For texts that others write and the platform keeps: what user code prints and raises, what a job file says of its
origin. Known values are blotted out wherever they stand; besides these, the forms in which addresses carry secrets.
Looked at first: detect-secrets (guesses by entropy, and would blot out digests and ids, which are what we record).
"""

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

BLOT = "[secret removed]"
MIN_LENGTH = 8
"""A known value that is shorter is left alone: it would be found in words and numbers that are none."""

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
    """Blot out secrets of a text.

    Parameters
    ----------
    text : str
        Any text.
    secrets : iterable of str
        Known values, as `spellings` gives them.

    Returns
    -------
    str
        The text; the same one when it holds none.
    """
    for secret in secrets:
        text = text.replace(secret, BLOT)
    if "/" in text and "@" in text:
        text = _USER_INFO.sub(rf"\g<before>{BLOT}@", text)
    return _SIGNED.sub(rf"\g<before>{BLOT}", text) if "=" in text else text


def redacted_value(value: Any, *, secrets: Iterable[str] = ()) -> Any:
    """Blot out secrets in every text of a JSON value, keys included."""
    if isinstance(value, str):
        return redacted(value, secrets=secrets)
    if isinstance(value, dict):
        return {redacted(k, secrets=secrets): redacted_value(v, secrets=secrets) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_value(inner, secrets=secrets) for inner in value]
    return value


def secrets_of(environment: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the secrets among variables: values of those whose name says so, and passwords in addresses.

    Parameters
    ----------
    environment : iterable of (str, str)
        Names and values.

    Returns
    -------
    tuple of str
        As `spellings` gives them.
    """
    found = set()
    for name, value in environment:
        if _SECRET_NAME.match(name) and not _NOT_SECRET.fullmatch(value):
            found.add(value)
        if (address := _ADDRESS.match(value)) is not None:
            found |= {address["password"], unquote(address["password"])}
    return spellings(found)


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return secrets in every spelling that a log may have, the longest first, so that none leaves a part of another."""
    found = {secret for secret in secrets if len(secret) >= MIN_LENGTH}
    found |= {spelling for s in found for spelling in (quote(s, safe=""), quote(s), repr(s)[1:-1], json.dumps(s)[1:-1])}
    found |= {line for s in found for line in s.splitlines() if len(line) >= MIN_LENGTH}
    return tuple(sorted(found, key=lambda s: (-len(s), s)))
