"""The columns of a catalog: which there are, what each holds, and how a value becomes what its column holds.

Types are read from the JSON schema of the analysis's models, because records hold what JSON can hold.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from domain.analysis import Analysis
from domain.analysis.fields import describe_fields
from domain.errors import PermanentError
from domain.json_values import MAX_INTEGER, canonical_json, has_surrogate
from domain.result.rows import FACTS, LISTS, TIMES
from domain.result.search_entries import OUTPUTS, PARAMETERS

Kind = Literal["int64", "float64", "bool", "string", "json", "time", "texts"]
OTHER_VALUES, RESULT_URL = "other_values", "result_url"

_OF_FACTS: dict[str, Kind] = {
    **dict.fromkeys(FACTS, "string"),
    **dict.fromkeys(TIMES, "time"),
    **dict.fromkeys(LISTS, "texts"),
    "duration_s": "float64",
    "peak_memory_bytes": "int64",
}
_MEANINGS = {
    "result_id": "Digest of analysis, code and job; empty for a job that failed.",
    "job_key": "Digest of inputs and parameters; the partition of the analysis.",
    "state": "done, outdated (made by earlier code) or failed.",
    "subject": "Subjects of the inputs.",
    "session": "Sessions of the inputs.",
    "inputs": "Addresses of the inputs.",
    "tag": "The parameter `analysis_tag`, where there is one.",
    "group": "What the inputs were grouped by.",
    "dispatch_id": "Dispatch that requested the job.",
    "code_version": "Code that ran.",
    "started": "When it began.",
    "ended": "When it ended.",
    "duration_s": "How long it took (s).",
    "peak_memory_bytes": "Largest memory that it used (bytes).",
    "run_id": "Dagster run.",
    "attempt": "Execution, and name of the folder.",
    "location": "Folder of the result's files.",
    "figure": "The figure, a path below `location`.",
    "failure_kind": "What kind of failure.",
    "failure": "Why it failed.",
}
_LINK = "Link that opens the folder of the result's files."
_OTHER = "Values without a column of their own, as JSON: fields that the models no longer have, values of another type."
_JSON_TYPES: dict[str, Kind] = {"integer": "int64", "number": "float64", "boolean": "bool", "string": "string"}
_LARGEST = 2**63


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
        As `domain.result.rows` names it.
    kind : str
        What it holds: a type, ``json`` for anything nested as text, ``time`` in UTC, ``texts`` for a list of texts.
    meaning : str
        In words.
    unit : str
        Unit of a number, as the analysis describes it.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""

    @property
    def label(self) -> str:
        """Name of the field, with its unit."""
        field = self.name.partition(".")[2] or self.name
        return f"{field} ({self.unit})" if self.unit and self.unit != "no unit" else field


def columns_of(analysis: Analysis) -> tuple[Column, ...]:
    """Return the columns of an analysis's catalog, in their order; they depend on the models alone."""
    facts = [Column(name, _OF_FACTS[name], _MEANINGS[name]) for name in FACTS]
    return (
        *facts,
        Column(RESULT_URL, "string", _LINK),
        *_of_model(PARAMETERS, analysis.parameters),
        *_of_model(OUTPUTS, analysis.outputs),
        Column(OTHER_VALUES, "json", _OTHER),
    )


def fit(value: Any, kind: Kind) -> tuple[Any, bool]:
    """Turn a value into what a column holds.

    Parameters
    ----------
    value : Any
        A JSON value; a time or a list of texts for columns of these kinds.
    kind : str
        Of the column.

    Returns
    -------
    tuple
        The value and True; None and False when it does not fit.
    """
    if value is None or kind in {"time", "texts"}:
        return value, True
    if kind == "json":
        return json_text(value), True
    found = _FITTERS[kind](value)
    return found, found is not None


def json_text(value: Any) -> str:
    """Write a value as canonical JSON; what has no such form is described instead."""
    try:
        return canonical_json(value).decode()
    except PermanentError:
        return canonical_json(repr(value)[:1000].encode("utf-8", "backslashreplace").decode()).decode()


class _AnyType(GenerateJsonSchema):
    """JSON schema of a model; a field that has none may hold anything."""

    def handle_invalid_for_json_schema(self, schema: core_schema.CoreSchema, error_info: str) -> JsonSchemaValue:
        """Describe nothing."""
        del schema, error_info
        return {}


def _of_model(prefix: str, model: type[BaseModel]) -> list[Column]:
    """Return a column for each field of a model."""
    schema = model.model_json_schema(by_alias=False, mode="serialization", schema_generator=_AnyType)
    described, inner = schema.get("properties", {}), schema.get("$defs", {})
    return [
        Column(f"{prefix}.{fact.name}", _kind(described.get(fact.name, {}), inner), fact.meaning, fact.unit)
        for fact in describe_fields(model)
    ]


def _kind(schema: dict[str, Any], inner: dict[str, Any]) -> Kind:
    """Return what a field holds when it is not null."""
    kinds = _kinds(schema, inner) - {"null"}
    if kinds == {"int64", "float64"}:
        return "float64"
    only: Any = kinds.pop() if len(kinds) == 1 else "json"
    return only  # type: ignore[no-any-return]


def _kinds(schema: dict[str, Any], inner: dict[str, Any]) -> set[str]:
    """Return everything that a field may hold."""
    if "$ref" in schema:
        return _kinds(inner.get(schema["$ref"].rpartition("/")[2], {}), inner)
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return {kind for part in parts for kind in _kinds(part, inner)}
    found = schema.get("type")
    return {"null"} if found == "null" else {_JSON_TYPES.get(found, "json") if isinstance(found, str) else "json"}


def _int(value: Any) -> int | None:
    """Return a whole number that 64 bits hold."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and -_LARGEST <= value < _LARGEST else None


def _float(value: Any) -> float | None:
    """Return a finite number that keeps its value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    exact = isinstance(value, float) or abs(value) <= MAX_INTEGER
    return float(value) if exact and math.isfinite(value) else None


def _bool(value: Any) -> bool | None:
    """Return a yes or no."""
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    """Return a text that UTF-8 can hold."""
    return value if isinstance(value, str) and not has_surrogate(value) else None


_FITTERS: dict[str, Any] = {"int64": _int, "float64": _float, "bool": _bool, "string": _text}
