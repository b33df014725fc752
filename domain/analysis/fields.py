"""Describes the fields of ``Parameters`` and ``Outputs`` models, for documentation and UI.

The unit of a number is in parentheses in its description, in the last ones if there are several, as in
``"Bin width of the presence ratio (s)."``. A number without unit has ``(no unit)``. Descriptions are not part of the
code version, so a unit can be added at any time.
"""

import re
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_LAST_PARENTHESES = re.compile(r"\(([^()]+)\)(?!.*\([^()]+\))", re.DOTALL)
_PLAIN_NAMES = {str: "text", int: "whole number", float: "number", bool: "yes or no", type(None): "none"}
_NUMBERS = (int, float)
_RULES = {
    "ge": "≥",
    "gt": ">",
    "le": "≤",
    "lt": "<",
    "multiple_of": "a multiple of",
    "min_length": "length ≥",
    "max_length": "length ≤",
    "pattern": "matches",
}
"""Symbols of pydantic's limits, by attribute name."""
_LONGEST_UNIT = 40
_NO_UNIT = "no unit"


@dataclass(frozen=True)
class FieldFacts:
    """One field of a model.

    Attributes
    ----------
    name : str
        Name of the field.
    kind : str
        Type of its values, in words.
    unit : str
        Unit of a number, from its description; empty for other types.
    default : str
        Default as JSON-like text; empty if the field is required.
    bounds : str
        Limits of the value, or of its length; empty if there are none.
    meaning : str
        The description without the unit.
    """

    name: str
    kind: str
    unit: str
    default: str
    bounds: str
    meaning: str


def describe_fields(model: type[BaseModel]) -> list[FieldFacts]:
    """Describe every field of a model, in order.

    Parameters
    ----------
    model : type of BaseModel
        A ``Parameters`` or ``Outputs`` model.

    Returns
    -------
    list of FieldFacts
        One for each field.
    """
    return [_facts(name, field) for name, field in model.model_fields.items()]


def fields_without_unit(model: type[BaseModel]) -> list[str]:
    """Return the names of numeric fields whose description has no unit."""
    return [
        fact.name
        for fact, field in zip(describe_fields(model), model.model_fields.values(), strict=True)
        if _holds_number(field.annotation) and not fact.unit
    ]


def with_unit(name: str, unit: str) -> str:
    """Return a field's name with its unit, if it has one."""
    return f"{name} ({unit})" if unit and unit != _NO_UNIT else name


def units_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the units of the fields of a model, by name; fields without unit are left out."""
    return {fact.name: fact.unit for fact in describe_fields(model) if fact.unit and fact.unit != _NO_UNIT}


def markdown_table(facts: list[FieldFacts], *, with_defaults: bool) -> str:
    """Return fields as a Markdown table.

    Parameters
    ----------
    facts : list of FieldFacts
        Fields, one row each.
    with_defaults : bool
        Include defaults and bounds: for parameters, not for outputs.
    """
    columns = ["name", "type", "unit", *(["default", "bounds"] if with_defaults else []), "meaning"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for fact in facts:
        default = f"`{fact.default}`" if fact.default else ""
        cells = [
            f"`{fact.name}`",
            fact.kind,
            fact.unit,
            *([default, fact.bounds] if with_defaults else []),
            fact.meaning,
        ]
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _facts(name: str, field: FieldInfo) -> FieldFacts:
    meaning, unit = " ".join((field.description or "").split()), ""
    found = _LAST_PARENTHESES.search(meaning) if _holds_number(field.annotation) else None
    if found and len(found[1]) <= _LONGEST_UNIT:
        unit = found[1]
        meaning = " ".join((meaning[: found.start()].rstrip() + meaning[found.end() :]).split())
    return FieldFacts(
        name=name,
        kind=_kind(field.annotation),
        unit=unit,
        default="" if field.is_required() else _shown(field.default),
        bounds=_bounds(field),
        meaning=meaning,
    )


def _kind(annotation: Any) -> str:
    """Return the name of a type in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN_NAMES:
        return _PLAIN_NAMES[annotation]
    if origin is Literal:
        return "one of " + ", ".join(f"`{_shown(value)}`" for value in inner)
    if origin in {UnionType, Union}:
        return " or ".join(_kind(part) for part in inner)
    if origin in {list, tuple}:
        return "list of " + (_kind(inner[0]) if inner else "anything")
    if origin is dict:
        return "table of " + (_kind(inner[1]) if inner else "anything")
    return str(getattr(annotation, "__name__", annotation))


def _bounds(field: FieldInfo) -> str:
    """Return the declared limits of a field as text."""
    found = [
        (words, getattr(rule, name)) for rule in field.metadata for name, words in _RULES.items() if hasattr(rule, name)
    ]
    return ", ".join(f"{words} {_limit(value)}" for words, value in found if value is not None)


def _limit(value: Any) -> str:
    """Return a limit as short text: ``1000`` instead of ``1000.0``."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _holds_number(annotation: Any) -> bool:
    """Return whether a field holds a number, or several of them."""
    if get_origin(annotation) is Literal:
        return False
    if inner := get_args(annotation):
        return any(_holds_number(part) for part in inner)
    return annotation in _NUMBERS


def _shown(value: Any) -> str:
    """Return a value as in a job file."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    """Escape a text for the cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
