"""Parameters of a job: merged from four layers and validated once, when the job is ingested.

`resolve` is used wherever a job is ingested, `validate_stored` when it is executed. The process environment is not
read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from domain.analysis import Analysis
from domain.analysis.model_rules import CONTROL_LABELS
from domain.analysis.number_types import two_typed_fields
from domain.errors import ParametersError
from domain.job.job_file import Job
from domain.json_values import canonical_json, path_text, value_faults
from domain.messages import joined, shown
from domain.redaction import redacted, redacted_value

Origin = Literal["default", "fixed_parameters", "analysis_code", "by_hand", "distributed_parameters"]

_FILE_LABEL = "file_location"
_CARRIED = "an address with a password, a token or a signature; give credentials in the settings, never in a parameter"
_TOLD_CHARACTERS = 300
"""Maximum length of the shown part of a validator's message, which may repeat a value of any length."""


class ResolvedParameters(BaseModel):
    """Parameters as they are hashed and stored, and the origin of each value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: dict[str, Any] = Field(description="JSON values by field name, defaults filled in.")
    origins: dict[str, Origin] = Field(description="The layer that gave each field its value.")
    stripped: dict[str, str] = Field(description="Labels that control a run, and the layers that they stood in.")


def resolve(
    analysis: Analysis, job: Job, *, fixed: Mapping[str, Any], by_hand: Mapping[str, Any]
) -> ResolvedParameters:
    """Merge the layers of a job's parameters and validate them.

    Later layers take precedence, key by key: ``fixed``, the job's ``analysis_code.parameters``, ``by_hand``, the job's
    ``distributed_parameters``. Labels that control a run are removed, reported and ignored.

    Parameters
    ----------
    analysis : Analysis
        Its ``Parameters`` model validates the values.
    job : Job
        Parsed job file, with its parameters and requested code.
    fixed : mapping
        Fixed parameters of the analysis, from ``analysis_parameters.json``.
    by_hand : mapping
        Values given to ``dispatch`` or ``submit``.

    Returns
    -------
    ResolvedParameters
        Values with defaults, their origins, and the removed labels.

    Raises
    ------
    ParametersError
        If parameters are invalid; the message names all unknown keys, wrong values and values that cannot be stored.
    """
    code = job.analysis_code.parameters if job.analysis_code else {}
    merged, origins, stripped = _merge(
        analysis.parameters,
        {
            "fixed_parameters": fixed,
            "analysis_code": code,
            "by_hand": by_hand,
            "distributed_parameters": job.distributed_parameters,
        },
    )
    model = _validated(analysis, merged, origins)
    values = dump(model)
    _check_no_secrets(analysis, values)
    _check_stable(analysis, values)
    return ResolvedParameters(
        values=values,
        origins={name: origins.get(name, "default") for name in values},
        stripped=stripped,
    )


def validate_stored(analysis: Analysis, stored: Mapping[str, Any]) -> BaseModel:
    """Return stored parameters as an instance of the analysis's model, as ``run`` receives it.

    Parameters
    ----------
    analysis : Analysis
        Its ``Parameters`` model validates the values.
    stored : mapping
        Values as `resolve` returned them.

    Returns
    -------
    BaseModel
        An instance of ``analysis.parameters``.

    Raises
    ------
    ParametersError
        If the model has changed and rejects values; the message names each of them.
    """
    return _validated(analysis, dict(stored), dict.fromkeys(stored, "stored job"))


def dump(model: BaseModel) -> dict[str, Any]:
    """Dump parameters as they are hashed and stored: JSON values by field name, defaults included.

    Raises
    ------
    ParametersError
        If a value does not have the declared type, or cannot be stored as JSON.
    """
    name = type(model).__name__
    try:
        values = model.model_dump(mode="json", by_alias=False, warnings="error")
    except Exception as error:  # a serializer in an analysis may raise anything
        fields = _ticked(field for field in type(model).model_fields if not _dumps(model, field))
        msg = f"Parameters model `{name}` holds a value of another type than declared ({fields}): {_one_line(error)}."
        raise ParametersError(msg) from error
    if faults := value_faults(values, path="", plain_keys=True):
        msg = f"Parameters model `{name}` gives values that cannot be stored: {joined(faults)}."
        raise ParametersError(msg)
    return values


def _merge(
    model: type[BaseModel], layers: Mapping[Origin, Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Origin], dict[str, str]]:
    """Merge the layers; return values, their origins, and the removed labels."""
    labels = CONTROL_LABELS | ({_FILE_LABEL} - model.model_fields.keys())
    merged: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    stripped: dict[str, str] = {}
    for origin, layer in layers.items():
        for key, value in layer.items():
            if key in labels:
                stripped[key] = f"{stripped[key]}, {origin}" if key in stripped else origin
            else:
                merged[key], origins[key] = value, origin
    return merged, origins, stripped


def _validated(analysis: Analysis, values: dict[str, Any], origins: Mapping[str, str]) -> BaseModel:
    """Validate values; the error names all invalid ones."""
    model = analysis.parameters
    faults: list[str] = []
    fit: dict[str, Any] = {}
    for key, value in values.items():
        found = value_faults({key: value}, path="", plain_keys=True)
        faults += [f"{fault} (from {origins[key]})" for fault in found]
        if isinstance(key, str) and key not in model.model_fields:
            faults.append(_unknown(key, model, origins[key]))
        elif not found:
            fit[key] = value
    parameters, errors = _try(analysis, fit)
    unfit = values.keys() - fit.keys()
    faults += [_error_message(error, model, origins) for error in errors if not _follows(error, unfit)]
    if faults or parameters is None:
        raise ParametersError(_message(analysis, faults))
    return parameters


def _try(analysis: Analysis, values: dict[str, Any]) -> tuple[BaseModel | None, list[ErrorDetails]]:
    """Validate values as JSON; return the model, or pydantic's list of errors."""
    try:
        return analysis.parameters.model_validate_json(json.dumps(values)), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_context=False)
    except Exception as error:  # a validator in an analysis may raise anything
        reason = f"a validator failed with {type(error).__name__}: {_one_line(error)}"
        raise ParametersError(_message(analysis, [reason])) from error


def _check_no_secrets(analysis: Analysis, values: dict[str, Any]) -> None:
    """Raise for URLs with a password or a signature: parameters are recorded and shown."""
    if faults := [f"`{name}` holds {_CARRIED}" for name, value in values.items() if redacted_value(value) != value]:
        raise ParametersError(_message(analysis, faults))


def _check_stable(analysis: Analysis, values: dict[str, Any]) -> None:
    """Raise if a model reads its own dump differently: a stored job would differ from the requested one."""
    reread, errors = _try(analysis, values)
    if reread is None:
        names = sorted({str(error["loc"][0]) if error["loc"] else "the model" for error in errors})
        reason = "; ".join(_said(error) for error in errors)
    else:
        again = dump(reread)
        names = [key for key in values if canonical_json(values[key]) != canonical_json(again[key])]
        reason = "reading the stored value gives another value"
        if not names:
            names = two_typed_fields(values, read=lambda given: _try(analysis, given)[0], dump=dump)
            reason = "it reads `1` and `1.0`, which are the same job key, as values of two types"
    if names:
        msg = (
            f"Parameters model of `{analysis.name}` does not keep {_ticked(names)}: {reason}. Make validators and "
            "serializers undo each other, and defaults valid values."
        )
        raise ParametersError(msg)


def _message(analysis: Analysis, faults: list[str]) -> str:
    known = _ticked(analysis.parameters.model_fields) or "none"
    return f"Parameters do not fit the analysis `{analysis.name}`: {joined(faults)}. Its parameters are: {known}."


def _follows(error: ErrorDetails, unfit: Iterable[str]) -> bool:
    """Return whether a field is missing only because its value was rejected before."""
    return error["type"] == "missing" and str(error["loc"][0]) in unfit


def _error_message(error: ErrorDetails, model: type[BaseModel], origins: Mapping[str, str]) -> str:
    """Return the message for one of pydantic's errors: field, origin, found and expected value."""
    loc = error["loc"]
    origin = origins.get(str(loc[0]), "default") if loc else ""
    if error["type"] == "extra_forbidden":
        return _unknown(str(loc[-1]), _model_at(model, loc[:-1]), origin, path=loc)
    name = f"`{path_text(loc)}` (from {origin})" if loc else "the parameters together"
    if error["type"] == "missing":
        return f"`{path_text(loc)}` is required and was not given"
    if not loc:
        return f"{name}: {_said(error)}"
    return f"{name}: found {_value(error['input'])}, expected: {_said(error)}"


def _said(error: ErrorDetails) -> str:
    """Return the message of a validator, shortened because it may repeat the value."""
    return redacted(error["msg"] if len(error["msg"]) <= _TOLD_CHARACTERS else f"{error['msg'][:_TOLD_CHARACTERS]}…")


def _unknown(key: str, model: type[BaseModel] | None, origin: str, *, path: tuple[int | str, ...] = ()) -> str:
    """Return the message for an unknown key, with the most similar name; inside another parameter with all names."""
    known = list(model.model_fields) if model else []
    near = get_close_matches(key, known, n=1)
    fault = f"unknown key `{shown(path_text(path) if path else key)}` (from {origin})"
    fault += f" (did you mean `{near[0]}`?)" if near else ""
    return f"{fault} (known there: {_ticked(known)})" if len(path) > 1 and known else fault


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the nested model at a position; None if several are possible."""
    current: type[BaseModel] | None = model
    for part in loc:
        if current is None:
            return None
        if part in current.model_fields:
            inner = list(_models_of(current.model_fields[str(part)].annotation))
            current = inner[0] if len(inner) == 1 else None
    return current


def _models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_of(part)


def _value(value: Any) -> str:
    """Return a value as short text, without the query or user info of a URL."""
    return f"'{shown(value)}'" if isinstance(value, str) else shown(json.dumps(value, default=repr))


def _ticked(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _dumps(model: BaseModel, field: str) -> bool:
    """Return whether a field of a model can be dumped."""
    try:
        model.model_dump(mode="json", include={field}, warnings="error")
    except Exception:  # noqa: BLE001  as in `dump`
        return False
    return True


def _one_line(error: Exception) -> str:
    """Return the message of an error of other code as one short line."""
    return shown(" ".join(str(error).split()))
