"""Comparing two results field by field."""

from dataclasses import dataclass
from typing import Any

from explorer.data.facts import PARTS, Facts

_COMPARED = [part for part in PARTS if part != "where"]


@dataclass(frozen=True)
class Line:
    """One field of two results.

    Attributes
    ----------
    part, name : str
        Which field.
    first, second : Any
        Its values; None where there is none.
    differs : bool
        Whether they differ.
    difference : float or None
        Second minus first, of numbers that differ.
    """

    part: str
    name: str
    first: Any
    second: Any
    differs: bool
    difference: float | None


def compared(first: Facts, second: Facts) -> list[Line]:
    """Compare two results.

    Parameters
    ----------
    first, second : Facts
        The results.

    Returns
    -------
    list of Line
        Part by part, in each the fields that differ first; nested values are compared field by field too.
    """
    lines: list[Line] = []
    for part in _COMPARED:
        one, other = _flat(first.parts[part]), _flat(second.parts[part])
        found = [_line(part, name, one.get(name), other.get(name)) for name in dict.fromkeys([*one, *other])]
        lines += sorted(found, key=lambda line: not line.differs)
    return lines


def _line(part: str, name: str, first: Any, second: Any) -> Line:
    """Compare one field; yes and 1 are not the same."""
    differs = first != second or isinstance(first, bool) != isinstance(second, bool)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (first, second))
    return Line(part, name, first, second, differs, second - first if differs and numbers else None)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name the values of nested tables by their paths."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
