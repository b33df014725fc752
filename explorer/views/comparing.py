"""Comparing two results field by field."""

from dataclasses import dataclass
from typing import Any

from explorer.data.facts import PARTS, Facts

_COMPARED = [part for part in PARTS if part != "where"]


@dataclass(frozen=True)
class Line:
    """A field of two results.

    Attributes
    ----------
    part, name : str
        Part of the facts, and name of the field.
    first, second : Any
        Its values; None if there is none.
    differs : bool
        Whether the values differ; True and 1 do.
    difference : float or None
        Second minus first value, if both are numbers and differ.
    """

    part: str
    name: str
    first: Any
    second: Any
    differs: bool
    difference: float | None


def compared(first: Facts, second: Facts) -> list[Line]:
    """Compare two results field by field.

    Parameters
    ----------
    first, second : Facts
        Facts of the two results.

    Returns
    -------
    list of Line
        Lines by part, different fields first; nested values are compared field by field too.
    """
    lines: list[Line] = []
    for part in _COMPARED:
        one, other = _flat(first.parts[part]), _flat(second.parts[part])
        found = [_line(part, name, one.get(name), other.get(name)) for name in dict.fromkeys([*one, *other])]
        lines += sorted(found, key=lambda line: not line.differs)
    return lines


def _line(part: str, name: str, first: Any, second: Any) -> Line:
    """Compare one field; True and 1 are different."""
    differs = first != second or isinstance(first, bool) != isinstance(second, bool)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (first, second))
    return Line(part, name, first, second, differs, second - first if differs and numbers else None)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested objects by path."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
