"""The columns of a results table: their names and types, and the conversion of values to these types.

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
    """A column of a results table.

    Attributes
    ----------
    name : str
        Name as in `domain.result.rows`, such as ``parameters.method``.
    kind : str
        Type of the values: a Python type, ``json`` (nested values as text), ``time`` (UTC) or ``texts`` (a list of
        texts).
    meaning : str
        Description of the field, from the model.
    unit : str
        Unit of a number, from the model; empty if there is none.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""

    @property
    def label(self) -> str:
        """Name of the field with its unit, for axes and headings."""
        field = self.name.partition(".")[2] or self.name
        return f"{field} ({self.unit})" if self.unit and self.unit != "no unit" else field


def columns_of(analysis: Analysis) -> tuple[Column, ...]:
    """Return the columns of an analysis's results table in order; they depend only on its models."""
    facts = [Column(name, _OF_FACTS[name], _MEANINGS[name]) for name in FACTS]
    return (
        *facts,
        Column(RESULT_URL, "string", _LINK),
        *_of_model(PARAMETERS, analysis.parameters),
        *_of_model(OUTPUTS, analysis.outputs),
        Column(OTHER_VALUES, "json", _OTHER),
    )


def fit(value: Any, kind: Kind) -> tuple[Any, bool]:
    """Convert a value to the type of a column.

    Parameters
    ----------
    value : Any
        A JSON value; a time or a list of texts for columns of these kinds.
    kind : str
        Type of the column; see `Column`.

    Returns
    -------
    tuple
        The converted value and True, or None and False if it cannot be converted.
    """
    if value is None or kind in {"time", "texts"}:
        return value, True
    if kind == "json":
        return json_text(value), True
    found = _FITTERS[kind](value)
    return found, found is not None


def json_text(value: Any) -> str:
    """Return a value as canonical JSON, or a description of a value that has no JSON form."""
    try:
        return canonical_json(value).decode()
    except PermanentError:
        return canonical_json(repr(value)[:1000].encode("utf-8", "backslashreplace").decode()).decode()


class _AnyType(GenerateJsonSchema):
    """JSON schema of a model; a field without a schema may hold any value."""

    def handle_invalid_for_json_schema(self, schema: core_schema.CoreSchema, error_info: str) -> JsonSchemaValue:
        """Return an empty schema."""
        del schema, error_info
        return {}


def _of_model(prefix: str, model: type[BaseModel]) -> list[Column]:
    schema = model.model_json_schema(by_alias=False, mode="serialization", schema_generator=_AnyType)
    described, inner = schema.get("properties", {}), schema.get("$defs", {})
    return [
        Column(f"{prefix}.{fact.name}", _kind(described.get(fact.name, {}), inner), fact.meaning, fact.unit)
        for fact in describe_fields(model)
    ]


def _kind(schema: dict[str, Any], inner: dict[str, Any]) -> Kind:
    """Return the type of a field, without null."""
    kinds = _kinds(schema, inner) - {"null"}
    if kinds == {"int64", "float64"}:
        return "float64"
    only: Any = kinds.pop() if len(kinds) == 1 else "json"
    return only  # type: ignore[no-any-return]


def _kinds(schema: dict[str, Any], inner: dict[str, Any]) -> set[str]:
    """Return all types of a field."""
    if "$ref" in schema:
        return _kinds(inner.get(schema["$ref"].rpartition("/")[2], {}), inner)
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return {kind for part in parts for kind in _kinds(part, inner)}
    found = schema.get("type")
    return {"null"} if found == "null" else {_JSON_TYPES.get(found, "json") if isinstance(found, str) else "json"}


def _int(value: Any) -> int | None:
    """Return an integer of 64 bits; None for any other value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and -_LARGEST <= value < _LARGEST else None


def _float(value: Any) -> float | None:
    """Return a finite float of the same value; None if there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    exact = isinstance(value, float) or abs(value) <= MAX_INTEGER
    return float(value) if exact and math.isfinite(value) else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    """Return a text that can be encoded as UTF-8; None for any other value."""
    return value if isinstance(value, str) and not has_surrogate(value) else None


_FITTERS: dict[str, Any] = {"int64": _int, "float64": _float, "bool": _bool, "string": _text}
