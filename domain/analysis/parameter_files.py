"""Reads ``analysis_parameters.json``, the parameters of all jobs of an analysis, in every form of the format."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import JobFileError
from domain.json_values import json_type, parse_json, value_faults
from domain.messages import joined, shown

_SECTIONS = frozenset({"fixed_parameters", "distributed_parameters"})
_WRAPPERS = ("analysis_parameter", "analysis_parameters")


class ParameterFile(BaseModel):
    """The content of one ``analysis_parameters.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fixed: dict[str, Any] = Field(default={}, description="Parameters of every job; the first layer of the merge.")
    distributed: tuple[dict[str, Any], ...] = Field(
        default=(), description="Sets for the dispatcher: each asset gets one job per set."
    )


def read_fixed_parameters(data: bytes | str, *, name: str) -> ParameterFile:
    """Read one ``analysis_parameters.json``.

    Parameters
    ----------
    data : bytes or str
        The file: an object with ``fixed_parameters`` and ``distributed_parameters``, or an older form (a bare
        object, a list, ``{"analysis_parameter": …}`` around either, or null).
    name : str
        The file's name or address, for messages.

    Returns
    -------
    ParameterFile
        A bare object, or the only entry of a list, is fixed; several entries are distributed.

    Raises
    ------
    JobFileError
        If it is not JSON, has another form, or contains values that cannot be stored.
    """
    what = f"Parameter file {name}"
    document = parse_json(data, what=what)
    faults = value_faults(document, path="", plain_keys=False)
    fixed, distributed = _read(document, faults)
    if faults:
        msg = f"{what} cannot be used: {joined(faults)}."
        raise JobFileError(msg)
    return ParameterFile(fixed=fixed, distributed=tuple(distributed))


def _read(document: Any, faults: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the fixed parameters and the distributed sets of a document of any form."""
    if isinstance(document, dict) and document.keys() & _SECTIONS:
        return _read_sections(document, faults)
    if isinstance(document, dict) and len(document) == 1:
        (key, inner), *_ = document.items()
        if key in _WRAPPERS:
            return _read_bare(inner, key, faults)
    return _read_bare(document, "the file", faults)


def _read_sections(document: dict[str, Any], faults: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read the current form."""
    faults += [
        f"`{shown(key)}` is given beside {' and '.join(f'`{s}`' for s in sorted(_SECTIONS))}: move it into one of them"
        for key in document
        if key not in _SECTIONS
    ]
    fixed = document.get("fixed_parameters")
    if fixed is not None and not isinstance(fixed, dict):
        faults.append(f"`fixed_parameters` is {json_type(fixed)}, expected an object or null")
    sets = document.get("distributed_parameters")
    return fixed or {}, _sets([sets] if isinstance(sets, dict) else sets, "distributed_parameters", faults)


def _read_bare(value: Any, name: str, faults: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read the older forms: an object or a list of one is fixed, a list of several is distributed."""
    if isinstance(value, dict):
        return value, []
    sets = _sets(value, name, faults)
    return (sets[0], []) if len(sets) == 1 else ({}, sets)


def _sets(value: Any, name: str, faults: list[str]) -> list[dict[str, Any]]:
    """Read a list of objects; null means none."""
    if value is None:
        return []
    if not isinstance(value, list):
        faults.append(f"`{name}` is {json_type(value)}, expected an object or a list of objects")
        return []
    faults += [
        f"`{name}[{index}]` is {json_type(entry)}, expected an object"
        for index, entry in enumerate(value)
        if not isinstance(entry, dict)
    ]
    return [entry for entry in value if isinstance(entry, dict)]
