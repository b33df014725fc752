"""Queries of dispatches to the metadata database: validation of filters, and the fields in them.

A query is a MongoDB *find filter*: one JSON object. Aggregation pipelines are rejected: their typical uses
(grouping, the newest of each group, unwinding) are options of a dispatch, and a filter can only read.
"""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from domain.errors import DispatchError, JobFileError
from domain.json_values import json_type, parse_json, value_faults
from domain.messages import joined, shown

REFUSED = {
    "$where": "it runs code on the server",
    "$function": "it runs code on the server",
    "$accumulator": "it runs code on the server",
    "$out": "it writes",
    "$merge": "it writes",
}
"""Operators that are rejected at any depth of a query."""

_LISTS_OF_FILTERS = frozenset({"$and", "$or", "$nor"})
_FIELD = re.compile(r"[^$.\0][^.\0]*(\.[^$.\0][^.\0]*)*")


def parse_query(text: str) -> dict[str, Any]:
    """Parse a query.

    Parameters
    ----------
    text : str
        One JSON object: a find filter.

    Returns
    -------
    dict
        The filter.

    Raises
    ------
    DispatchError
        If it is not a JSON object, or contains values that cannot be stored, or operators that run code or
        write; the message names each of them with its path.
    """
    try:
        query = parse_json(text, what="The query")
    except JobFileError as error:
        raise DispatchError(str(error)) from None
    if not isinstance(query, dict):
        more = " Grouping, the newest of each group and unwinding are options." if isinstance(query, list) else ""
        msg = f"The query is {json_type(query)}; expected one JSON object, a find filter.{more}"
        raise DispatchError(msg)
    check_query(query)
    return query


def check_query(query: dict[str, Any]) -> None:
    """Raise if a filter runs code, writes, or contains values that cannot be stored.

    Raises
    ------
    DispatchError
        If the filter is rejected; the message names all operators and values with their paths.
    """
    faults = [f"`{shown(name)}` at {where} is not allowed: {REFUSED[name]}" for name, where in _refused(query, "")]
    faults += value_faults(query, path="", plain_keys=False)
    if faults:
        msg = f"The query cannot be used: {joined(faults)}."
        raise DispatchError(msg)


def fields_of(query: dict[str, Any]) -> list[str]:
    """Return the field names in a filter, sorted, without duplicates and without list positions."""
    return sorted({without_positions(name) for name in _fields(query, "")})


def without_positions(path: str) -> str:
    """Remove the list positions from a dotted path: `a.0.b` becomes `a.b`."""
    return ".".join(part for part in path.split(".") if not part.isdecimal())


def projection(fields: Iterable[str]) -> dict[str, int]:
    """Return the MongoDB projection of these fields.

    A field inside another one is left out, because MongoDB rejects such a pair; a path ends before a
    list position, because projections have none.
    """
    tops = {re.split(r"\.\d+(?:\.|$)", field, maxsplit=1)[0] for field in fields}
    inner = {field for field in tops if any(field.startswith(f"{other}.") for other in tops)}
    return dict.fromkeys(sorted(tops - inner), 1)


def is_field(text: str) -> bool:
    """Return whether a text can be the dotted name of a field: no operator, no empty part."""
    return bool(_FIELD.fullmatch(text))


def unknown_field(field: str, known: Iterable[str]) -> str:
    """Return the message that no record has a field, with the most similar name."""
    names = sorted(known)
    near = get_close_matches(field, names, n=1, cutoff=0.5)
    if not near:
        last = field.rpartition(".")[2]
        near = [name for name in names if name.rpartition(".")[2] == last][:1]
    hint = f": did you mean `{near[0]}`?" if near else "."
    return f"No record has a field `{shown(field)}`{hint}"


def _refused(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the rejected operators of a value with their paths."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.lower() in REFUSED:
                yield key.lower(), f"`{shown(path)}`" if path else "the top"
            yield from _refused(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _refused(inner, f"{path}[{number}]")


def _fields(value: Any, path: str) -> Iterator[str]:
    """Yield the fields of a filter, including those inside `$and`, similar operators and `$elemMatch`."""
    for key, inner in value.items():
        if key in _LISTS_OF_FILTERS and isinstance(inner, list):
            for entry in inner:
                yield from _fields(entry, path) if isinstance(entry, dict) else ()
        elif key.startswith("$"):
            if key in {"$elemMatch", "$not"} and isinstance(inner, dict):
                yield from _fields(inner, path)
        else:
            name = f"{path}.{key}" if path else key
            yield name
            yield from _fields(inner, name) if _has_operators(inner) else ()


def _has_operators(value: Any) -> bool:
    """Return whether a value is an object of operators, and not a value to compare with."""
    return isinstance(value, dict) and any(key.startswith("$") for key in value)
