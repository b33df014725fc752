"""The one place with rules for JSON values: how they are read, what is refused, how they are written and hashed.

A value that passes `check_value` is written by `canonical_json` to the same bytes on every machine (RFC 8785), and
is stored by MongoDB without change. Messages made here never show the query or the user info of a URL.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import rfc8785

from domain.errors import JobFileError, PermanentError, PlatformError
from domain.redaction import redacted

MAX_BYTES = 1 << 20
"""A JSON file may hold this many bytes (1 MiB)."""
MAX_DEPTH = 32
"""Lists and objects may be nested this deep; a list of numbers has depth 1."""
MAX_INTEGER = 2**53 - 1
"""The largest integer that every reader of JSON keeps exactly."""
MAX_DIGITS = 100
"""A longer integer literal is refused before it is converted."""

_SHOWN = 80
_TOLD = 50
_JSON_TYPES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
_JSON_TYPES |= {int: "a number", float: "a number"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOO_DEEP = f"lists and objects are nested deeper than {MAX_DEPTH} levels"
_WORD = re.compile(r"[A-Za-z_]{1,12}")
_PLAIN_AUTHORITY = re.compile(r"([A-Za-z0-9._\-]*|\[[0-9A-Fa-f:.]*\])(:[0-9]*)?")


@dataclass(frozen=True)
class _Unreadable:
    """Stands for a number that is rejected: the parser's hooks do not know where it is in the document."""

    reason: str


_MAY_BE_REJECTED = (dict, list, _Unreadable)


def parse_json(data: bytes | str, *, what: str) -> Any:
    """Read one JSON document strictly.

    Parameters
    ----------
    data : bytes or str
        The document; UTF-8, with or without a byte order mark.
    what : str
        What is being read, for messages: ``"Job file a/b.json"``.

    Returns
    -------
    Any
        The value, of plain Python types.

    Raises
    ------
    JobFileError
        If it is not UTF-8, not JSON (with line and column), over 1 MiB, nested deeper than 32 levels, names a key
        twice in one object, or holds ``NaN``, ``Infinity`` or an integer of more than 100 digits (with its path).
    """
    text = _decode(data, what=what)
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            repeated.extend(sorted(key for key, count in counts.items() if count > 1))
        return found

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_int=_integer, parse_constant=_constant)
    except json.JSONDecodeError as error:
        msg = f"{what} is not JSON: {error.msg} at {_place(text, error.pos)}, found {_found(text, error.pos)}."
        raise JobFileError(msg) from None
    except RecursionError:  # the parser gives up at Python's own limit, far beyond ours, and knows no path
        msg = f"{what} is rejected: {_TOO_DEEP}."
        raise JobFileError(msg) from None
    if (rejected := _rejected_part(value)) is not None:
        reason, steps = rejected
        msg = f"{what} is rejected: {reason} at {_name(path_text(steps))}."
        raise JobFileError(msg)
    if repeated:
        names = ", ".join(f"`{shown(key)}`" for key in repeated)
        msg = f"{what} gives {names} twice in one object: keep one of them."
        raise JobFileError(msg)
    return value


def value_faults(value: Any, *, path: str, plain_keys: bool) -> list[str]:
    """List everything in a value that cannot be stored or hashed the same way everywhere.

    Parameters
    ----------
    value : Any
        A value made of dict, list, tuple, str, int, float, bool and None.
    path : str
        Name of the value, for messages; empty for a whole document.
    plain_keys : bool
        Also refuse keys that hold ``$`` or ``.``, which mean something else in a database.

    Returns
    -------
    list of str
        One sentence part for each fault, each naming the path: ``"`a.b[2]` is nan, not a finite number"``.
    """
    return list(_faults(value, path, plain_keys=plain_keys, depth=0))


def check_value(value: Any, *, path: str, plain_keys: bool, error: type[PlatformError] = PermanentError) -> None:
    """Refuse a value that `value_faults` finds fault with, naming every fault at once.

    Parameters
    ----------
    value, path, plain_keys
        As in `value_faults`.
    error : type
        The error to raise.

    Raises
    ------
    PlatformError
        Of the given type, if the value has a fault.
    """
    if faults := value_faults(value, path=path, plain_keys=plain_keys):
        msg = f"Values that cannot be stored: {joined(faults)}."
        raise error(msg)


def canonical_json(value: Any) -> bytes:
    """Write a value as canonical JSON (RFC 8785): the same value always gives the same bytes.

    Parameters
    ----------
    value : Any
        A JSON value. ``1`` and ``1.0`` give the same bytes; keys are sorted.

    Returns
    -------
    bytes
        UTF-8 text.

    Raises
    ------
    PermanentError
        If the value holds something that has no canonical form, naming where it stands.
    """
    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError) as error:
        faults = value_faults(value, path="", plain_keys=False) or [str(error)]
        msg = f"The value has no canonical JSON form: {joined(faults)}."
        raise PermanentError(msg) from None


def sha256_hex(data: bytes) -> str:
    """Return the sha256 digest of some bytes as 64 lower-case hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def shown(text: str) -> str:
    """Make a text from outside fit for a message: short, printable, without the query or user info of a URL.

    Parameters
    ----------
    text : str
        Any text; not only URLs.

    Returns
    -------
    str
        At most about 80 characters, without quotes; ``…`` stands for what was left out.
    """
    kept, *query = re.split(r"[?#]", text, maxsplit=1)
    scheme, mark, rest = kept.partition("://")
    if mark and not _PLAIN_AUTHORITY.fullmatch(rest.partition("/")[0]):
        kept = f"{scheme}://…"
    elif not mark and "@" in kept:
        kept = "…" + kept.rpartition("@")[2]
    printable = repr(redacted(kept))[1:-1]
    return printable[:_SHOWN] + ("…" if query or len(printable) > _SHOWN else "")


def joined(faults: list[str]) -> str:
    """Join the parts of a message with semicolons; past 50 only the number of the others is told."""
    rest = len(faults) - _TOLD
    return "; ".join(faults[:_TOLD] + ([f"and {rest} more"] if rest > 0 else []))


def path_text(steps: tuple[str | int, ...]) -> str:
    """Return the steps to a place in a document as a path: ``a.b[2]``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in steps).removeprefix(".")


def has_surrogate(text: str) -> bool:
    """Tell whether a text holds a lone surrogate, which is not a character and cannot be stored."""
    return _SURROGATE.search(text) is not None


def json_type(value: Any) -> str:
    """Name the JSON type of a value in words: ``"a list"``, ``"a string"``, ``"null"``."""
    return _JSON_TYPES.get(type(value), f"a Python {type(value).__name__}")


def _decode(data: bytes | str, *, what: str) -> str:
    """Return the document's text, once its size and its encoding are accepted."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > MAX_BYTES:
        msg = f"{what} has {len(raw)} bytes; at most {MAX_BYTES} (1 MiB) are read."
        raise JobFileError(msg)
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        msg = f"{what} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}. Save it as UTF-8."
        raise JobFileError(msg) from None


def _integer(literal: str) -> int | _Unreadable:
    """Convert an integer, unless that would take long: Python itself refuses more than 4,300 digits."""
    digits = len(literal) - literal.startswith("-")
    return _Unreadable(f"an integer of {digits} digits (use a string)") if digits > MAX_DIGITS else int(literal)


def _constant(literal: str) -> _Unreadable:
    """Reject a number that Python's parser accepts and JSON does not have."""
    return _Unreadable(f"`{literal}` is not a JSON number")


def _rejected_part(value: Any, depth: int = 0) -> tuple[str, tuple[str | int, ...]] | None:
    """Return why a parsed value is rejected and the steps to that place; None if it is not.

    The parser has no hook for lists, so that depth can only be checked afterwards.
    """
    if isinstance(value, _Unreadable):
        return value.reason, ()
    if not isinstance(value, dict | list):
        return None
    if depth >= MAX_DEPTH:
        return _TOO_DEEP, ()
    for step, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, _MAY_BE_REJECTED) and (found := _rejected_part(item, depth + 1)) is not None:
            return found[0], (step, *found[1])
    return None


def _place(text: str, position: int) -> str:
    """Give a position as line and column, both counted from 1."""
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


def _found(text: str, position: int) -> str:
    """Name what stands at a position without repeating a text that may hold a secret."""
    if not text.strip():
        return "an empty file"
    if position >= len(text):
        return "the end of the file"
    if text[position] == '"':
        return "a string"
    word = _WORD.match(text, position)
    return f"`{word[0] if word else repr(text[position])[1:-1]}`"


def _faults(value: Any, path: str, *, plain_keys: bool, depth: int) -> Iterator[str]:
    """Yield the faults of a value and of everything inside it."""
    if isinstance(value, dict | list | tuple) and depth >= MAX_DEPTH:
        yield f"{_name(path)} is nested deeper than {MAX_DEPTH} levels"
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{path}.{_key(key)}" if path else _key(key)
            yield from _key_faults(key, inner, plain_keys=plain_keys)
            yield from _faults(item, inner, plain_keys=plain_keys, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]", plain_keys=plain_keys, depth=depth + 1)
    elif fault := _scalar_fault(value):
        yield f"{_name(path)} {fault}"


def _key_faults(key: Any, path: str, *, plain_keys: bool) -> Iterator[str]:
    """Yield what is wrong with the key of an object."""
    if not isinstance(key, str):
        yield f"{_name(path)} has a key that is {json_type(key)}: keys must be strings"
        return
    if "\0" in key:
        yield f"the key {_name(path)} holds NUL"
    if _SURROGATE.search(key):
        yield f"the key {_name(path)} holds a lone surrogate, which is not a character"
    if plain_keys and (marks := [mark for mark in "$." if mark in key]):
        yield f"the key {_name(path)} holds {' and '.join(f'`{mark}`' for mark in marks)}: rename it"


def _scalar_fault(value: Any) -> str | None:
    """Say what is wrong with a value that holds no other values, if anything."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return "holds a lone surrogate, which is not a character" if _SURROGATE.search(value) else None
    if isinstance(value, int):
        return "is an integer beyond ±(2^53-1): use a string" if abs(value) > MAX_INTEGER else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"is {value}, not a finite number"
    return f"is {json_type(value)}, which is not a JSON value"


def _key(key: Any) -> str:
    """Return a key as it may stand in a message."""
    return shown(key) if isinstance(key, str) else shown(repr(key))


def _name(path: str) -> str:
    """Return a path as it may stand in a message."""
    return f"`{path}`" if path else "the value"
