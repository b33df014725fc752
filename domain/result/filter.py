"""Parses conditions on results: ``alpha>=0.5``, a subject, a session, a code version.

Conditions are data: the name must be a field of the analysis, the comparison one of six, and the value is parsed by
the field's type; no part becomes an operator or a path of the database.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from domain.analysis import Analysis
from domain.analysis.fields import describe_fields
from domain.errors import ParametersError
from domain.messages import shown
from domain.result.search_entries import CODE, LONGEST_TEXT, OUTPUTS, PARAMETERS, SESSION, SUBJECT, is_searchable

Comparison = Literal["=", "!=", "<", "<=", ">", ">="]
_WORD = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(<=|>=|!=|==|=|<|>)(.*)", re.DOTALL)
_LONGEST_WORD = 2 * LONGEST_TEXT


@dataclass(frozen=True)
class Condition:
    """One condition on an entry of `domain.result.search_entries`.

    Attributes
    ----------
    name : str
        Name of the entry.
    comparison : str
        One of six operators.
    value : str, int, float, bool or None
        Value to compare with, of the type of the field.
    """

    name: str
    comparison: Comparison
    value: str | float | bool | None


def conditions(
    analysis: Analysis, *, where: Sequence[str] = (), subject: str = "", session: str = "", code: str = ""
) -> list[Condition]:
    """Parse conditions on the results of an analysis.

    Parameters
    ----------
    analysis : Analysis
        Its models define names and types of fields.
    where : sequence of str
        Texts such as ``alpha>=0.5``, on parameters and outputs; all of them must hold.
    subject, session : str
        Subject and session of the inputs; empty for any.
    code : str
        A full code version, or the declared part before its ``+``; empty for any.

    Returns
    -------
    list of Condition
        Conditions that must all hold.

    Raises
    ------
    ParametersError
        If a text has another form, an unknown field, or a value of the wrong type; the message lists the fields and
        values.
    """
    named = [(name, text) for name, text in ((SUBJECT, subject), (SESSION, session), (CODE, code)) if text]
    for name, text in named:
        if not is_searchable(text):
            msg = f"`--{name} {shown(text)}` cannot be searched: expected a text of at most {LONGEST_TEXT} characters."
            raise ParametersError(msg)
    return [*(Condition(name, "=", text) for name, text in named), *(_condition(analysis, word) for word in where)]


def _condition(analysis: Analysis, word: str) -> Condition:
    """Parse one text."""
    found = _WORD.fullmatch(word) if len(word) <= _LONGEST_WORD else None
    if found is None:
        msg = (
            f"`--where {shown(word)}`: expected NAME=VALUE, or !=, <, <=, >, >= in the place of =, such as alpha>=0.5."
        )
        raise ParametersError(msg)
    kind, model, field = _field(analysis, found[1])
    comparison = cast("Comparison", found[2].replace("==", "="))
    value = _value(model, field, found[3].strip())
    if comparison not in {"=", "!="} and (value is None or isinstance(value, bool)):
        msg = f"`--where {shown(word)}`: {json.dumps(value)} has no order; compare it with = or !=."
        raise ParametersError(msg)
    return Condition(f"{kind}.{field}", comparison, value)


def _field(analysis: Analysis, name: str) -> tuple[str, type[BaseModel], str]:
    """Return the field of a name: ``parameters.alpha``, ``outputs.alpha``, or the only field of that name."""
    models = {PARAMETERS: analysis.parameters, OUTPUTS: analysis.outputs}
    meant = [
        (kind, model, field)
        for kind, model in models.items()
        for field in model.model_fields
        if name in {field, f"{kind}.{field}"}
    ]
    if len(meant) == 1:
        return meant[0]
    if meant:
        msg = f"`{name}` is a parameter and an output of `{analysis.name}`: write parameters.{name} or outputs.{name}."
        raise ParametersError(msg)
    there = "; ".join(f"{kind}: {', '.join(model.model_fields) or 'none'}" for kind, model in models.items())
    msg = f"`{analysis.name}` has no parameter or output `{shown(name)}`. There are {there}."
    raise ParametersError(msg)


def _value(model: type[BaseModel], field: str, text: str) -> Any:
    """Parse a value by the type of its field, in the form of records."""
    annotation: TypeAdapter[Any] = TypeAdapter(model.model_fields[field].annotation)
    for given in _readings(text):
        try:
            value = annotation.dump_python(annotation.validate_python(given), mode="json")
        except (ValidationError, ValueError):
            continue
        if is_searchable(value):
            return value
    (kind,) = [fact.kind for fact in describe_fields(model) if fact.name == field]
    msg = (
        f"`{field}` cannot be compared with {shown(text)!r}: it is {kind}. Only numbers, yes or no, null and texts of "
        f"up to {LONGEST_TEXT} characters can be searched."
    )
    raise ParametersError(msg)


def _readings(text: str) -> Iterator[Any]:
    """Yield the possible values of a text: JSON, then the text."""
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        pass
    else:
        yield value
    yield text
