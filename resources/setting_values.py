"""How the values of settings are read, and said back in plain words when they cannot be used; pure functions."""

import re
from typing import Any, NoReturn
from urllib.parse import urlsplit

from domain.errors import SettingsError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_UNSET_WORDS = frozenset({"none", "null", "undefined"})


def yes_or_no(name: str, value: Any) -> bool:
    """Read one of the words for yes or no."""
    word = str(value).lower()
    if word not in _TRUE | _FALSE:
        refuse(name, repr(value), "1, true, yes, on, or 0, false, no, off")
    return word in _TRUE


def seconds(name: str, value: Any, *, longest: float) -> float:
    """Read a length of time: more than nothing, so that something is ever done again."""
    good = f"seconds between 1 and {longest:.0f}, such as 3600"
    try:
        found = float(value)
    except (TypeError, ValueError):
        refuse(name, repr(value), good)
    if not 1 <= found <= longest:
        refuse(name, repr(value), good)
    return found


def bucket_and_prefix(name: str, found: str, value: str) -> str:
    """Check ``bucket`` or ``bucket/prefix`` and return it without a slash at its end."""
    good = "`bucket` or `bucket/prefix`, such as `my-lab-results/analysis`"
    if name == "JOB_INBOX":
        good = "s3://bucket/prefix"
    bucket, *segments = value.removesuffix("/").split("/")
    usable = _BUCKET.fullmatch(bucket) and bucket not in _UNSET_WORDS
    if not usable or any(s in {"", ".", ".."} or not s.isprintable() for s in segments):
        refuse(name, repr(without_secrets(found)), good)
    return "/".join([bucket, *segments])


def is_postgresql(value: str) -> bool:
    """Tell whether an address names a database of PostgreSQL, for the driver that dagster-postgres brings."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:  # brackets or a port that are none, often from a password that is not escaped
        return False
    named = parts.hostname and parts.path.strip("/") and "@" not in parts.path and not parts.fragment
    return parts.scheme in {"postgresql", "postgresql+psycopg2"} and bool(named) and port != 0


def without_secrets(value: str) -> str:
    """Hide user name, password and query of an address before it is shown."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        return value
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def refuse(name: str, found: str, good: str) -> NoReturn:
    """Raise the error that every bad setting gives."""
    msg = f"The setting {name} cannot be used: found {found}, expected {good}."
    raise SettingsError(msg)
