"""Rules for ``Parameters`` and ``Outputs`` models, checked when an analysis is loaded.

Parameters are part of a result's identity, so the same values must always give the same JSON. A set has no order,
a secret must not be stored, a default factory may give another value each time, and an excluded or computed field makes
the stored parameters differ from those that ``run`` received. A dataclass, named tuple or typed dictionary accepts
unknown keys, so a misspelled name would pass unnoticed. A field that accepts two types of numbers gives ``run`` one or
the other for the same job key.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from domain.analysis.number_types import collision_in
from domain.errors import AnalysisFileError

CONTROL_LABELS = frozenset({"dry_run", "dry run", "input_directory", "output_directory"})
"""Keys that control a run in hand-edited job files: not parameters, and ignored."""


def check_parameters_model(model: type[BaseModel]) -> None:
    """Raise if values of a Parameters model have no stable hash; the message names all errors.

    Raises
    ------
    AnalysisFileError
        If the model is not frozen, or a field has no description, is a set or a secret, contains a plain class, has a
        default factory, is excluded or computed, has a name that controls a run, or reads ``1`` and ``1.0`` as values
        of two types.
    """
    faults = [] if model.model_config.get("frozen") else ["the model is not frozen: inherit from ParametersModel"]
    faults += [
        f"field `{name}` has no description" for name, field in model.model_fields.items() if not field.description
    ]
    faults += [
        f"field `{name}` is a label that controls a run" for name in sorted(CONTROL_LABELS & set(model.model_fields))
    ]
    for nested in _models_in(model):
        if nested.model_config.get("extra") != "forbid":
            faults.append(f"`{nested.__name__}` accepts unknown keys: inherit from ParametersModel")
        if any(base.__module__.startswith("pydantic_settings") for base in nested.__mro__):
            faults.append(f"`{nested.__name__}` reads the process environment: inherit from ParametersModel")
        faults += _field_faults(nested)
        faults += [f"`{nested.__name__}.{name}` is computed" for name in nested.model_computed_fields]
    if faults:
        msg = f"Parameters model `{model.__name__}` cannot be used: {'; '.join(faults)}."
        raise AnalysisFileError(msg)


def check_outputs_model(model: type[BaseModel]) -> None:
    """Raise if a field of an Outputs model has no description.

    Raises
    ------
    AnalysisFileError
        If a field has no description.
    """
    bare = [name for name, field in model.model_fields.items() if not field.description]
    if bare:
        msg = f"Outputs model `{model.__name__}` cannot be used: no description on {', '.join(f'`{n}`' for n in bare)}."
        raise AnalysisFileError(msg)


def _field_faults(model: type[BaseModel]) -> list[str]:
    """Return an error for each field of a model whose JSON would depend on more than its value."""
    faults = []
    for name, field in model.model_fields.items():
        where = f"`{model.__name__}.{name}`"
        if field.default_factory is not None:
            faults.append(f"{where} has a default factory: write the default as a value")
        if any((field.alias, field.validation_alias, field.serialization_alias)):
            faults.append(f"{where} has an alias: parameters are stored by field name")
        if field.exclude:
            faults.append(f"{where} is excluded from the dump")
        found = _type_faults(field.annotation) or _number_faults(field)
        faults += [f"{where} {fault}" for fault in found]
    return faults


def _number_faults(field: FieldInfo) -> list[str]:
    """Return an error if a field reads two spellings of a number, which are one job key, as different values."""
    found = collision_in(field.annotation, field.metadata)
    if found is None:
        return []
    fault = (
        f"reads `{found.one}` as {found.one_type} and `{found.other}` as {found.other_type}, but both are the same job key: "
        "declare one type of number, `float` or `int`, also inside lists, dicts and unions; not `Any`, `object`, or a bare "
        "`dict` or `list`"
    )
    return [fault]


def _type_faults(annotation: Any) -> list[str]:
    """Return the errors of a field's type, without duplicates."""
    types = [t for t in _types_in(annotation) if isinstance(t, type)]
    faults = []
    if any(issubclass(t, AbstractSet) for t in types):
        faults.append("is a set, which has no order: use a tuple")
    if any(issubclass(t, Secret | SecretStr | SecretBytes) for t in types):
        faults.append("is a secret, which may not be stored: read it where it is used")
    plain = dict.fromkeys(
        t.__name__ for t in types if is_dataclass(t) or hasattr(t, "__total__") or hasattr(t, "_fields")
    )
    return faults + [f"holds a `{name}`, whose keys are not checked: make it a ParametersModel" for name in plain]


def _models_in(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return the model and all models in the types of its fields, without duplicates."""
    found: list[type[BaseModel]] = []
    todo = [model]
    while todo:
        current = todo.pop()
        if current in found:
            continue
        found.append(current)
        todo += [
            t
            for field in current.model_fields.values()
            for t in _types_in(field.annotation)
            if isinstance(t, type) and issubclass(t, BaseModel)
        ]
    return found


def _types_in(annotation: Any) -> Iterator[Any]:
    """Yield an annotation, its origin, the target of an alias, and its arguments, recursively."""
    yield annotation
    alias = [getattr(annotation, name) for name in ("__value__", "__supertype__") if hasattr(annotation, name)]
    if (origin := get_origin(annotation)) is not None:
        yield from _types_in(origin)
    for part in (*alias, *get_args(annotation)):
        yield from _types_in(part)
