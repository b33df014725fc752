"""Converts the table's filters to polars expressions: input from a browser is data, and never becomes code.

The format is that of AG Grid (https://www.ag-grid.com/javascript-data-grid/filter-conditions/): for each column a rule,
or several rules joined by AND or OR. Only known columns and the words below are accepted; the rest is ignored with a
note.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import reduce
from typing import Any

import polars as pl

from domain.messages import shown
from explorer.data.columns import Column, Kind

Rule = dict[str, Any]

_LONGEST_TEXT = 1000
_MOST_RULES, _MOST_FILTERS = 20, 100
_BLANKS = ("blank", "notBlank")
_TEXT_RULES: dict[str, Callable[[pl.Expr, str], pl.Expr]] = {
    "contains": lambda cell, text: cell.str.contains(text, literal=True),
    "notContains": lambda cell, text: ~cell.str.contains(text, literal=True).fill_null(value=False),
    "equals": lambda cell, text: cell == text,
    "notEqual": lambda cell, text: cell.ne_missing(text),
    "startsWith": lambda cell, text: cell.str.starts_with(text),
    "endsWith": lambda cell, text: cell.str.ends_with(text),
}
_ORDER_RULES: dict[str, Callable[[pl.Expr, Any], pl.Expr]] = {
    "equals": lambda cell, value: cell == value,
    "notEqual": lambda cell, value: cell.ne_missing(value),
    "lessThan": lambda cell, value: cell < value,
    "lessThanOrEqual": lambda cell, value: cell <= value,
    "greaterThan": lambda cell, value: cell > value,
    "greaterThanOrEqual": lambda cell, value: cell >= value,
}


def cleaned(model: Any, columns: Mapping[str, Column]) -> tuple[dict[str, Rule], list[str]]:
    """Return the valid part of a filter model.

    Parameters
    ----------
    model : Any
        Filter model from a browser or URL; not trusted.
    columns : mapping
        Columns of the table, by name.

    Returns
    -------
    model : dict
        A copy with only known columns and words.
    notes : list of str
        A message for each ignored part.
    """
    if not isinstance(model, dict):
        return {}, ["The filters of this address cannot be read and were left out."]
    good: dict[str, Rule] = {}
    notes = []
    for name, rule in list(model.items())[:_MOST_FILTERS]:
        try:
            if name not in columns:
                _refuse("there is no such column")
            good[name] = _rule(rule, columns[name].kind)
        except ValueError as error:
            notes.append(f"A filter on `{shown(str(name))}` was left out: {error}.")
    return good, notes


def condition(model: Mapping[str, Rule], columns: Mapping[str, Column]) -> pl.Expr:
    """Return the expression of all filters of a cleaned model."""
    found = [_expression(name, rule, columns[name].kind) for name, rule in model.items()]
    return reduce(lambda one, other: one & other, found, pl.lit(value=True))


def _refuse(why: str) -> None:
    """Raise to reject a rule."""
    raise ValueError(why)


def _rule(rule: Any, kind: Kind) -> Rule:
    """Return the rule or rules of a column."""
    if not isinstance(rule, dict):
        _refuse("it has no rule")
    conditions = rule.get("conditions")
    if conditions is None:
        return _simple(rule, kind)
    if not isinstance(conditions, list) or not 1 <= len(conditions) <= _MOST_RULES:
        _refuse(f"it must have 1 to {_MOST_RULES} rules")
    rules = [_simple(one, kind) for one in conditions]
    return {
        "filterType": rules[0]["filterType"],
        "operator": _word(rule.get("operator"), "AND", "OR"),
        "conditions": rules,
    }


def _simple(rule: Any, kind: Kind) -> Rule:
    """Return a rule without parts."""
    if not isinstance(rule, dict):
        _refuse("it has no rule")
    how, form = rule.get("type"), {"text": "text", "number": "number", "time": "date"}[kind]
    if how in _BLANKS:
        return {"filterType": form, "type": how}
    if kind == "text":
        return {"filterType": form, "type": _word(how, *_TEXT_RULES), "filter": _text(rule.get("filter"))}
    how = _word(how, *_ORDER_RULES, "inRange")
    read, first, last = (_number, "filter", "filterTo") if kind == "number" else (_day, "dateFrom", "dateTo")
    found = {"filterType": form, "type": how, first: read(rule.get(first))}
    return found | ({last: read(rule.get(last))} if how == "inRange" else {})


def _word(found: Any, *known: str) -> str:
    """Return one of the known words; raise for anything else."""
    if found not in known:
        _refuse(f"it has the rule {shown(str(found))!r}; there are {', '.join(known)}")
    return str(found)


def _text(value: Any) -> str:
    """Return a text; raise for anything else."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        _refuse(f"expected a text of at most {_LONGEST_TEXT} characters")
    return str(value)


def _number(value: Any) -> float:
    """Return a finite number; raise for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or math.isnan(value):  # noqa: PLR2004
        _refuse("expected a number")
    return float(value)


def _day(value: Any) -> str:
    """Return a day in the format of AG Grid."""
    try:
        return f"{datetime.fromisoformat(str(value)[:10]):%Y-%m-%d} 00:00:00"
    except ValueError:
        raise ValueError("expected a day such as 2026-05-01") from None  # noqa: EM101, TRY003


def _expression(name: str, rule: Rule, kind: Kind) -> pl.Expr:
    """Return the expression of one column."""
    if "conditions" not in rule:
        return _one(name, rule, kind)
    parts = [_one(name, one, kind) for one in rule["conditions"]]
    if rule["operator"] == "OR":
        return reduce(lambda one, other: one | other, parts)
    return reduce(lambda one, other: one & other, parts)


def _one(name: str, rule: Rule, kind: Kind) -> pl.Expr:
    """Return the expression of a simple rule; empty cells only match rules for blank cells, or negated rules."""
    cell = pl.col(name)
    how = rule["type"]
    if how in _BLANKS:
        empty = cell.is_null() | (cell.cast(pl.String) == "")
        return empty if how == "blank" else ~empty
    if kind == "text":
        return _TEXT_RULES[how](cell.cast(pl.String).str.to_lowercase(), rule["filter"].lower()).fill_null(value=False)
    if kind == "number":
        return _in_order(cell.cast(pl.Float64), how, rule["filter"], rule.get("filterTo"))
    first = datetime.fromisoformat(rule["dateFrom"])
    last = datetime.fromisoformat(rule["dateTo"]) if "dateTo" in rule else None
    return _in_order(cell.dt.replace_time_zone(None).dt.truncate("1d"), how, first, last)


def _in_order(cell: pl.Expr, how: str, value: Any, last: Any) -> pl.Expr:
    """Return the expression of an ordered comparison; both ends of a range are included."""
    met = cell.is_between(value, last) if how == "inRange" else _ORDER_RULES[how](cell, value)
    return met.fill_null(value=False)
