"""Parses values of settings, with messages for invalid ones; pure functions."""

import re
from typing import Any, NoReturn
from urllib.parse import urlsplit

from domain.errors import SettingsError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_UNSET_WORDS = frozenset({"none", "null", "undefined"})


def yes_or_no(name: str, value: Any) -> bool:
    """Parse a boolean."""
    word = str(value).lower()
    if word not in _TRUE | _FALSE:
        refuse(name, repr(value), "1, true, yes, on, or 0, false, no, off")
    return word in _TRUE


def seconds(name: str, value: Any, *, longest: float) -> float:
    """Parse a duration in seconds, which must be positive."""
    good = f"seconds between 1 and {longest:.0f}, such as 3600"
    try:
        found = float(value)
    except (TypeError, ValueError):
        refuse(name, repr(value), good)
    if not 1 <= found <= longest:
        refuse(name, repr(value), good)
    return found


def bucket_and_prefix(name: str, found: str, value: str) -> str:
    """Validate ``bucket`` or ``bucket/prefix``, and return it without a trailing slash."""
    good = "`bucket` or `bucket/prefix`, such as `my-lab-results/analysis`"
    if name == "JOB_INBOX":
        good = "s3://bucket/prefix"
    bucket, *segments = value.removesuffix("/").split("/")
    usable = _BUCKET.fullmatch(bucket) and bucket not in _UNSET_WORDS
    if not usable or any(s in {"", ".", ".."} or not s.isprintable() for s in segments):
        refuse(name, repr(without_secrets(found)), good)
    return "/".join([bucket, *segments])


def is_postgresql(value: str) -> bool:
    """Return whether a URL is that of a PostgreSQL database, for the driver of dagster-postgres."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:  # invalid brackets or port, often from a password that is not escaped
        return False
    named = parts.hostname and parts.path.strip("/") and "@" not in parts.path and not parts.fragment
    return parts.scheme in {"postgresql", "postgresql+psycopg2"} and bool(named) and port != 0


def without_secrets(value: str) -> str:
    """Return a URL without user name, password and query, to show it."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        return value
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def refuse(name: str, found: str, good: str) -> NoReturn:
    """Raise the error for an invalid setting."""
    msg = f"The setting {name} cannot be used: found {found}, expected {good}."
    raise SettingsError(msg)
