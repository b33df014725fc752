"""What a person wants of results, read and checked: ``alpha>=0.5``, a subject, a session, a code version.

What was typed is data. The name must be one of the analysis's own fields, the comparison one of six, and the value is
read by the field's type; none of it becomes an operator or a path of the database.
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
from domain.json_values import shown
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
        How its value is compared.
    value : str, int, float, bool or None
        With what.
    """

    name: str
    comparison: Comparison
    value: str | float | bool | None


def conditions(
    analysis: Analysis, *, where: Sequence[str] = (), subject: str = "", session: str = "", code: str = ""
) -> list[Condition]:
    """Read what a person wants of the results of an analysis.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    where : sequence of str
        Words such as ``alpha>=0.5``, on parameters and outputs; all of them must hold.
    subject, session : str
        Of the inputs; empty: any.
    code : str
        A whole code version, or the declared part before its ``+``; empty: any.

    Returns
    -------
    list of Condition
        All of which a result must meet.

    Raises
    ------
    ParametersError
        If a word has another form, names a field that does not exist, or gives a value that is not of its type; says
        which fields and values there are.
    """
    named = [(name, text) for name, text in ((SUBJECT, subject), (SESSION, session), (CODE, code)) if text]
    for name, text in named:
        if not is_searchable(text):
            msg = f"`--{name} {shown(text)}` cannot be searched: expected a text of at most {LONGEST_TEXT} characters."
            raise ParametersError(msg)
    return [*(Condition(name, "=", text) for name, text in named), *(_condition(analysis, word) for word in where)]


def _condition(analysis: Analysis, word: str) -> Condition:
    """Read one word."""
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
    """Return the field that a name means: ``parameters.alpha``, ``outputs.alpha``, or the one field of that name."""
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
    """Read a value by the type of its field, in the form in which records hold it."""
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
    """Yield what a text may mean: JSON, then itself."""
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        pass
    else:
        yield value
    yield text
