"""Validates what an analysis returned: small values that can be stored, queried and shown."""

import math
from numbers import Integral, Real
from typing import Any

from pydantic import BaseModel, ValidationError

from domain.analysis import Analysis
from domain.errors import OutputError
from domain.json_values import MAX_BYTES, canonical_json, check_value


def checked_outputs(analysis: Analysis, returned: object) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the return value of ``run`` as JSON values.

    Parameters
    ----------
    analysis : Analysis
        Its ``Outputs`` model validates the values.
    returned : object
        An instance of ``Outputs``, or a dict that validates as one.

    Returns
    -------
    tuple of dict and tuple of str
        The outputs, and the names of values that were not finite and are stored as null.

    Raises
    ------
    OutputError
        If the value is invalid, not finite where the model does not allow None, too deep or too large.
    """
    model = analysis.outputs
    expected = f"`run` of `{analysis.name}` must return {model.__name__}"
    if returned is None or not isinstance(returned, BaseModel | dict):
        msg = f"{expected}; it returned {type(returned).__name__}."
        raise OutputError(msg, analysis=analysis.name)
    values = returned.model_dump() if isinstance(returned, BaseModel) else returned
    not_finite: list[str] = []
    try:
        finite = _without_not_finite(values, "", not_finite)
    except RecursionError:
        msg = f"{expected}, but its values are nested too deep."
        raise OutputError(msg, analysis=analysis.name) from None
    try:
        checked = model.model_validate(finite)
    except ValidationError as error:
        faults = "; ".join(f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors())
        hint = f" Not finite: {', '.join(not_finite)}; allow None in the model to store null." if not_finite else ""
        msg = f"{expected}, but its values do not fit: {faults}.{hint}"
        raise OutputError(msg, analysis=analysis.name) from None
    try:
        dumped = checked.model_dump(mode="json")
    except (ValueError, RecursionError) as error:  # a key that is not valid Unicode, or an error of a serializer
        msg = f"{expected}, but its values cannot be written as JSON ({type(error).__name__})."
        raise OutputError(msg, analysis=analysis.name) from None
    check_value(dumped, path="outputs", plain_keys=True, error=OutputError)
    if (size := len(canonical_json(dumped))) > MAX_BYTES:
        msg = f"{expected} of at most 1 MiB; it has {size} bytes: write tables into files of the results."
        raise OutputError(msg, analysis=analysis.name)
    return dumped, tuple(not_finite)


def _without_not_finite(value: Any, path: str, found: list[str]) -> Any:
    """Replace numbers that are not finite with None, and append their paths."""
    if isinstance(value, Real) and not isinstance(value, Integral) and not math.isfinite(value):  # NumPy's, too
        found.append(path)
        return None
    if isinstance(value, dict):
        return {k: _without_not_finite(v, f"{path}.{k}" if path else str(k), found) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_not_finite(v, f"{path}[{i}]", found) for i, v in enumerate(value)]
    return value
