"""Rules for JSON values: strict parsing, validation, canonical text and digests.

`canonical_json` writes a value that passes `check_value` to the same bytes on every machine (RFC 8785), and MongoDB
stores it unchanged.
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
from domain.messages import joined, shown

MAX_BYTES = 1 << 20
"""Maximum size of a JSON file (1 MiB)."""
MAX_DEPTH = 32
"""Maximum depth of lists and objects; a list of numbers has depth 1."""
MAX_INTEGER = 2**53 - 1
"""The largest integer that all JSON readers keep exactly."""
MAX_DIGITS = 100
"""Maximum number of digits of an integer; a longer one is rejected before it is converted."""

_JSON_TYPES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
_JSON_TYPES |= {int: "a number", float: "a number"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOO_DEEP = f"lists and objects are nested deeper than {MAX_DEPTH} levels"
_WORD = re.compile(r"[A-Za-z_]{1,12}")


@dataclass(frozen=True)
class _Unreadable:
    """Placeholder for a rejected number: the hooks of the parser do not know its path."""

    reason: str


_MAY_BE_REJECTED = (dict, list, _Unreadable)


def parse_json(data: bytes | str, *, what: str) -> Any:
    """Parse one JSON document strictly.

    Parameters
    ----------
    data : bytes or str
        The document; UTF-8, with or without a byte order mark.
    what : str
        Name of the document for messages, such as ``"Job file a/b.json"``.

    Returns
    -------
    Any
        The value, of plain Python types.

    Raises
    ------
    JobFileError
        If it is not UTF-8, not JSON (with line and column), over 1 MiB, nested deeper than 32 levels, has a duplicate
        key in an object, or contains ``NaN``, ``Infinity`` or an integer of more than 100 digits (with its path).
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
    except RecursionError:  # the parser fails at Python's recursion limit, far above ours, without a path
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
    """Return errors for everything in a value that cannot be stored or hashed consistently.

    Parameters
    ----------
    value : Any
        A value made of dict, list, tuple, str, int, float, bool and None.
    path : str
        Name of the value, for messages; empty for a whole document.
    plain_keys : bool
        Also reject keys with ``$`` or ``.``, which have a meaning in a database.

    Returns
    -------
    list of str
        Parts of a sentence, each with the path: ``"`a.b[2]` is nan, not a finite number"``.
    """
    return list(_faults(value, path, plain_keys=plain_keys, depth=0))


def check_value(value: Any, *, path: str, plain_keys: bool, error: type[PlatformError] = PermanentError) -> None:
    """Raise if `value_faults` returns errors; the message names all of them.

    Parameters
    ----------
    value, path, plain_keys
        Passed to `value_faults` without change.
    error : type
        Class of the error to raise.

    Raises
    ------
    PlatformError
        Of the given class, if the value is invalid.
    """
    if faults := value_faults(value, path=path, plain_keys=plain_keys):
        msg = f"Values that cannot be stored: {joined(faults)}."
        raise error(msg)


def canonical_json(value: Any) -> bytes:
    """Return a value as canonical JSON (RFC 8785): equal values give equal bytes.

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
        If a part of the value has no canonical form; the message names its path.
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


def path_text(steps: tuple[str | int, ...]) -> str:
    """Return the keys and indexes that lead to a value as a path: ``a.b[2]``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in steps).removeprefix(".")


def has_surrogate(text: str) -> bool:
    """Return whether a text contains a lone surrogate, which is not a character and cannot be stored."""
    return _SURROGATE.search(text) is not None


def json_type(value: Any) -> str:
    """Return the JSON type of a value in words: ``"a list"``, ``"a string"``, ``"null"``."""
    return _JSON_TYPES.get(type(value), f"a Python {type(value).__name__}")


def _decode(data: bytes | str, *, what: str) -> str:
    """Return the text of a document; raise if its size or encoding is invalid."""
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
    """Convert an integer unless it is very long: Python raises for more than 4,300 digits."""
    digits = len(literal) - literal.startswith("-")
    return _Unreadable(f"an integer of {digits} digits (use a string)") if digits > MAX_DIGITS else int(literal)


def _constant(literal: str) -> _Unreadable:
    """Return a placeholder for a number that Python's parser accepts but JSON does not allow."""
    return _Unreadable(f"`{literal}` is not a JSON number")


def _rejected_part(value: Any, depth: int = 0) -> tuple[str, tuple[str | int, ...]] | None:
    """Return why a parsed value is rejected, and the path to it; None if it is not.

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
    """Return a position as line and column, both from 1."""
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


def _found(text: str, position: int) -> str:
    """Return the kind of token at a position, without repeating a text that may contain a secret."""
    if not text.strip():
        return "an empty file"
    if position >= len(text):
        return "the end of the file"
    if text[position] == '"':
        return "a string"
    word = _WORD.match(text, position)
    return f"`{word[0] if word else repr(text[position])[1:-1]}`"


def _faults(value: Any, path: str, *, plain_keys: bool, depth: int) -> Iterator[str]:
    """Yield the errors of a value and of everything inside it."""
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
    """Yield the errors of the key of an object."""
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
    """Return the error of a scalar value; None if it is valid."""
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
    """Return a key as it is shown in a message."""
    return shown(key) if isinstance(key, str) else shown(repr(key))


def _name(path: str) -> str:
    """Return a path as it is shown in a message."""
    return f"`{path}`" if path else "the value"
