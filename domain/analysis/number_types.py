"""Finds parameters that read ``1`` and ``1.0`` as different values, although both are the same job key.

In canonical JSON (RFC 8785) the two numbers are the same bytes, so jobs that differ only in them are one job, and its
result would depend on the spelling of the first one. A stored value is otherwise read the same each time, because what
``run`` receives is a function of the stored JSON. Each annotation is therefore tested with JSON values whose numbers
are written in both ways.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from itertools import islice, product
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

from domain.analysis.json_samples import samples_of
from domain.errors import PlatformError
from domain.json_values import MAX_INTEGER, canonical_json, value_faults

_MOST_SPELLINGS = 64
_SCALARS = (int, float, str, bool, bytes, type(None))


@dataclass(frozen=True)
class Collision:
    """Two JSON values with one job key that a type reads as different values.

    Attributes
    ----------
    one, other : str
        The values, as JSON.
    one_type, other_type : str
        Types of the first part that differs, such as ``int`` and ``float``.
    """

    one: str
    other: str
    one_type: str
    other_type: str


def collision_in(annotation: Any, metadata: Sequence[Any] = ()) -> Collision | None:
    """Return a collision of a field's type; None if equal keys give equal values of equal types.

    Parameters
    ----------
    annotation : Any
        Type of the field.
    metadata : sequence
        Constraints and validators of the field.

    Returns
    -------
    Collision or None
        Two values that show it. Models inside are only tested as choices of a union: each has its own fields.
    """
    whole = Annotated[annotation, *metadata] if metadata else annotation
    return next((found for part in _tested_parts(whole) if (found := _collision(part)) is not None), None)


def spellings(value: Any) -> Iterator[Any]:
    """Yield a JSON value with each of its integers written as ``1`` and as ``1.0``, up to 64 combinations."""
    yield from islice(_spelled(value), _MOST_SPELLINGS)


def two_typed_fields(
    values: Mapping[str, Any],
    *,
    read: Callable[[dict[str, Any]], BaseModel | None],
    dump: Callable[[BaseModel], dict[str, Any]],
) -> list[str]:
    """Return the fields that a model reads differently from another spelling with the same job key.

    It finds what `collision_in` does not: validators of the model, which may return what they like.

    Parameters
    ----------
    values : mapping
        Stored values of a job.
    read : callable
        Returns the model for JSON values; None if they are not valid.
    dump : callable
        Returns the stored values of a model.
    """
    stored, key = dict(values), canonical_json(values)
    model = read(stored)
    for kind in (int, float):
        other = None
        with suppress(PlatformError):  # the other spelling is not valid, so that no job has it
            given = read(_written_as(stored, kind))
            spelled = dump(given) if given is not None else {}
            other = read(spelled) if canonical_json(spelled) == key else None
        if model is not None and other is not None:
            pairs = {name: (getattr(model, name), getattr(other, name)) for name in type(model).model_fields}
            if names := [name for name, (one, two) in pairs.items() if with_types(one) != with_types(two)]:
                return names
    return []


def with_types(value: Any) -> Any:
    """Return a value that is equal for values of equal types only, at every depth."""
    kind = type(value).__qualname__, type(value).__module__
    match value:
        case BaseModel():
            return kind, [(name, with_types(part)) for name, part in value]
        case Mapping():
            return kind, sorted(
                ((repr(key), with_types(part)) for key, part in value.items()), key=lambda item: item[0]
            )
        case list() | tuple():
            return kind, [with_types(part) for part in value]
        case AbstractSet():
            return kind, sorted(repr(with_types(part)) for part in value)
        case Enum():
            return kind, value.name
    return kind, value


def _collision(annotation: Any) -> Collision | None:
    """Return the first collision among the samples of one type."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
        return None  # a type that cannot be a field is rejected by pydantic itself
    for sample in samples_of(annotation):
        known: dict[bytes, tuple[str, Any]] = {}
        for spelling in spellings(sample):
            read = _read(adapter, spelling)
            if read is None:
                continue
            key, text, value = read
            one_text, one = known.setdefault(key, (text, value))
            if (kinds := _difference(one, value)) is not None:
                return Collision(one_text, text, *kinds)
    return None


def _read(adapter: TypeAdapter[Any], given: Any) -> tuple[bytes, str, Any] | None:
    """Return key, stored JSON and value of a given JSON value; None if it is not valid."""
    try:
        stored = adapter.dump_python(adapter.validate_json(json.dumps(given)), mode="json", warnings="none")
        if value_faults(stored, path="", plain_keys=False):
            return None
        text = json.dumps(stored)
        return canonical_json(stored), text, adapter.validate_json(text)
    except Exception:  # noqa: BLE001  a validator in an analysis may raise anything
        return None


def _difference(one: Any, other: Any) -> tuple[str, str] | None:
    """Return the types of the first parts of two values that differ; None if the values are equal with their types."""
    if with_types(one) == with_types(other):
        return None
    parts = _parts(one), _parts(other)
    if type(one) is type(other) and len(parts[0]) == len(parts[1]) > 0:
        inner = (_difference(left, right) for left, right in zip(*parts, strict=True))
        return next((kinds for kinds in inner if kinds is not None), ("one value", "another one"))
    return type(one).__name__, type(other).__name__


def _parts(value: Any) -> list[Any]:
    """Return what a container holds; empty for anything else."""
    match value:
        case BaseModel():
            return [part for _, part in value]
        case Mapping():
            return [value[key] for key in sorted(value, key=repr)]
        case list() | tuple():
            return list(value)
    return []


def _spelled(value: Any) -> Iterator[Any]:
    """Yield all spellings of a value."""
    match value:
        case dict():
            for parts in product(*(list(spellings(part)) for part in value.values())):
                yield dict(zip(value, parts, strict=True))
        case list():
            yield from map(list, product(*(list(spellings(part)) for part in value)))
        case int() if not isinstance(value, bool):
            yield from (value, float(value))
        case _:
            yield value


def _written_as(value: Any, kind: type[int] | type[float]) -> Any:
    """Return a JSON value whose whole numbers are all of one kind."""
    match value:
        case dict():
            return {key: _written_as(part, kind) for key, part in value.items()}
        case list():
            return [_written_as(part, kind) for part in value]
        case int() | float() if not isinstance(value, bool) and value == value // 1 and abs(value) <= MAX_INTEGER:
            return kind(value)
    return value


def _tested_parts(annotation: Any) -> Iterator[Any]:
    """Yield a type and the types inside it; what a validator receives is tested with the validator only."""
    if isinstance(annotation, type) and (annotation in _SCALARS or issubclass(annotation, BaseModel)):
        return
    yield annotation
    if get_origin(annotation) is Annotated and any(hasattr(mark, "func") for mark in get_args(annotation)[1:]):
        return
    alias = [getattr(annotation, name) for name in ("__value__", "__supertype__") if hasattr(annotation, name)]
    for part in (*alias, *_inner(annotation)):
        yield from _tested_parts(part)


def _inner(annotation: Any) -> tuple[Any, ...]:
    """Return the types inside a type, without the keys of a mapping: they are texts in JSON, so ``1`` is not ``1.0``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ()
    if origin is Annotated:
        return arguments[:1]
    return arguments[1:] if isinstance(origin, type) and issubclass(origin, Mapping) else arguments
