"""The types of settings: each checks its value, and its message names the setting."""

import re
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo

from resources.setting_values import is_postgresql, refuse, seconds, without_secrets, yes_or_no

_WEEK_S = 7 * 24 * 3600
_MOST_RUNS = 10_000
_DATABASE = re.compile(r"[A-Za-z0-9_\-]{1,38}")
_COLLECTION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
_MAIL = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")
_HOOKS = {"ALERT_WEBHOOK_URL": ("https", "http"), "SMTP_URL": ("smtp", "smtps")}
_NOT_SHOWN = "(not shown: it may hold a password)"


def _name(info: ValidationInfo) -> str:
    return str(info.field_name).upper()


def _mongo_uri(value: SecretStr, info: ValidationInfo) -> SecretStr:
    scheme, separator, rest = value.get_secret_value().partition("://")
    if scheme not in {"mongodb", "mongodb+srv"} or not rest.rpartition("@")[2].strip("/"):
        found = f"an address of scheme {scheme!r}" if separator else "an address without a scheme"
        refuse(_name(info), f"{found} {_NOT_SHOWN}", "mongodb://user:password@host:27017/")
    return value


def _postgres_url(value: SecretStr, info: ValidationInfo) -> SecretStr:
    if not is_postgresql(value.get_secret_value()):
        good = "postgresql://user:password@host:5432/database, with special characters in the password as %XX"
        refuse(_name(info), f"another address {_NOT_SHOWN}", good)
    return value


def _hook_url(value: SecretStr, info: ValidationInfo) -> SecretStr:
    good, parts = _HOOKS[_name(info)], urlsplit(value.get_secret_value())
    if parts.scheme not in good or not parts.hostname:
        refuse(_name(info), f"another address {_NOT_SHOWN}", f"{good[0]}://host/… or {good[1]}://host:port")
    return value


def _http_url(value: str, info: ValidationInfo) -> str:
    """Accept URLs without user info and query only, because they are shown in messages and in the UI."""
    parts = urlsplit(value)
    plain = parts.hostname and "@" not in parts.netloc and "?" not in value and "#" not in value
    if parts.scheme not in {"http", "https"} or not plain:
        good = "an address such as https://host:9000, without user name, password or query"
        refuse(_name(info), repr(without_secrets(value)), good)
    return value.rstrip("/")


def _database_name(value: str, info: ValidationInfo) -> str:
    """Raise for names that MongoDB or DocumentDB would reject later."""
    if not _DATABASE.fullmatch(value):
        refuse(_name(info), repr(value), "1 to 38 letters, digits, `_` or `-`, such as `analysis`")
    return value


def _collection_name(value: str, info: ValidationInfo) -> str:
    """Raise for names that MongoDB or DocumentDB would reject later."""
    if not _COLLECTION.fullmatch(value) or value.startswith("system."):
        refuse(_name(info), repr(value), "up to 100 letters, digits, `_`, `-` or `.`, such as `results`")
    return value


def _mail_addresses(value: str, info: ValidationInfo) -> str:
    for address in (value or "a@b").split(","):
        if not _MAIL.fullmatch(address.strip()):
            refuse(_name(info), repr(address), "addresses such as ann@lab.org, separated by commas")
    return value


def _yes_no(value: Any, info: ValidationInfo) -> bool:
    return yes_or_no(_name(info), value)


def _duration(value: Any, info: ValidationInfo) -> float:
    return seconds(_name(info), value, longest=_WEEK_S)


def _number_up_to(largest: int, least: int) -> Callable[[Any, ValidationInfo], int]:
    """Return a validator of whole numbers."""

    def checked(value: Any, info: ValidationInfo) -> int:
        text = str(value)
        if not text.isdecimal() or not least <= int(text[:20]) <= largest:
            refuse(_name(info), repr(value), f"a whole number between {least} and {largest}")
        return int(text)

    return checked


MongoUri = Annotated[SecretStr, AfterValidator(_mongo_uri)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
HookUrl = Annotated[SecretStr, AfterValidator(_hook_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
DatabaseName = Annotated[str, AfterValidator(_database_name)]
CollectionName = Annotated[str, AfterValidator(_collection_name)]
MailAddresses = Annotated[str, AfterValidator(_mail_addresses)]
YesNo = Annotated[bool, BeforeValidator(_yes_no)]
Duration = Annotated[float, BeforeValidator(_duration)]
"""A number of seconds, at most a week."""

Runs = Annotated[int, BeforeValidator(_number_up_to(_MOST_RUNS, least=1))]
StartTimeout = Annotated[int, BeforeValidator(_number_up_to(_WEEK_S, least=0))]
