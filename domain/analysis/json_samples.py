"""JSON values that a type may accept, to test how it reads numbers."""

import math
from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

_NUMBERS = (1, 0, 2, 3, -1, 10, 100, 1000)
_BOUNDS = ("ge", "gt", "le", "lt", "multiple_of")
_SCALARS: dict[Any, tuple[Any, ...]] = {str: ("a",), bool: (True,), type(None): (None,), int: (), float: ()}
_DEEPEST = 4
_MOST = 200


def samples_of(annotation: Any) -> list[Any]:
    """Return JSON values for a type, with whole numbers; not all of them are valid.

    Parameters
    ----------
    annotation : Any
        Type of a field. Its limits, literals and enumerations determine further numbers.

    Returns
    -------
    list
        At most 200 values.
    """
    return list(islice(_samples(annotation, tuple(dict.fromkeys(_numbers_in(annotation, 0))), 0), _MOST))


def _samples(annotation: Any, numbers: tuple[int, ...], depth: int) -> Iterator[Any]:
    """Yield values for a type, built from the given numbers."""
    if depth > _DEEPEST:
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if (alias := _meant(annotation)) is not None:
        yield from _samples(alias, numbers, depth)
    elif origin in {Union, UnionType}:
        for part in arguments:
            yield from islice(_samples(part, numbers, depth + 1), len(numbers) + 8)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _models(annotation, numbers, depth)
    else:
        yield from _containers(origin or annotation, arguments, numbers, depth)


def _containers(kind: Any, arguments: tuple[Any, ...], numbers: tuple[int, ...], depth: int) -> Iterator[Any]:
    """Yield objects and lists; for a type that is not a container, and an unknown one, values of every JSON type."""
    if isinstance(kind, type) and issubclass(kind, Mapping):
        value = arguments[1] if len(arguments) > 1 else Any
        yield from ({key: inner} for inner in _samples(value, numbers, depth + 1) for key in ("1", "k"))
    elif kind is tuple and arguments and arguments[-1] is not ...:
        yield from _rows([list(islice(_samples(part, numbers, depth + 1), _MOST)) for part in arguments])
    elif isinstance(kind, type) and issubclass(kind, list | tuple):
        yield from ([inner] for inner in _samples(arguments[0] if arguments else Any, numbers, depth + 1))
    elif kind is Literal or (isinstance(kind, type) and issubclass(kind, Enum)):
        listed = arguments if kind is Literal else _members(kind)
        yield from (*numbers, *(value for value in listed if isinstance(value, str | bool)))
    elif kind in _SCALARS:
        yield from _SCALARS[kind] or numbers
    else:
        yield from (*numbers, "a", True, None)
        yield from _nested(numbers[0])


def _nested(number: int) -> Iterator[Any]:
    """Yield containers with a number, for types that are not known."""
    yield from ([number], {"k": number}, [[number]], [number, number, number])


def _models(model: type[BaseModel], numbers: tuple[int, ...], depth: int) -> Iterator[Any]:
    """Yield objects with all fields of a model, and with the required ones."""
    fields = model.model_fields
    columns = {
        name: list(islice(_samples(Annotated[field.annotation, *field.metadata, None], numbers, depth + 1), _MOST))
        for name, field in fields.items()
    }
    known = [name for name, column in columns.items() if column]  # others are nested too deeply
    for names in (known, [name for name in known if fields[name].is_required()]):
        yield from (dict(zip(names, row, strict=True)) for row in _rows([columns[name] for name in names]))


def _rows(columns: list[list[Any]]) -> Iterator[list[Any]]:
    """Yield rows of values; a shorter column repeats its values."""
    if not all(columns):
        return
    for index in range(max(map(len, columns), default=1)):
        yield [column[index % len(column)] for column in columns]


def _meant(annotation: Any) -> Any:
    """Return the type that an alias, a type variable or an annotated type stands for; None for other types."""
    if isinstance(annotation, TypeVar):
        return annotation.__bound__ or Any
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    return next((getattr(annotation, n) for n in ("__value__", "__supertype__") if hasattr(annotation, n)), None)


def _numbers_in(annotation: Any, depth: int) -> Iterator[int]:
    """Yield whole numbers that a type's limits, literals and enumerations suggest, then common ones."""
    if depth > _DEEPEST:
        return
    literal = get_origin(annotation) is Literal
    yield from _whole(get_args(annotation) if literal else _members(annotation))
    for part in _inner(annotation) if not literal else ():
        yield from _limits(part)
        yield from _numbers_in(part, depth + 1)
    if depth == 0:
        yield from _NUMBERS


def _members(annotation: Any) -> list[Any]:
    """Return the values of an enumeration; none for other types."""
    is_enum = isinstance(annotation, type) and issubclass(annotation, Enum)
    return [member.value for member in annotation] if is_enum else []


def _inner(annotation: Any) -> Iterator[Any]:
    """Yield what a type consists of: arguments, the target of an alias, fields of a model."""
    if (alias := _meant(annotation)) is not None:
        yield alias
    yield from get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from (Annotated[field.annotation, *field.metadata, None] for field in annotation.model_fields.values())


def _limits(mark: Any) -> Iterator[int]:
    """Yield the whole numbers at and beside the limits of a constraint."""
    for inner in getattr(mark, "metadata", ()):
        yield from _limits(inner)
    for limit in _whole([getattr(mark, name, None) for name in _BOUNDS]):
        yield from (limit, limit + 1, limit - 1, 2 * limit)


def _whole(values: Any) -> Iterator[int]:
    """Yield the finite numbers among some values, rounded down."""
    for value in values:
        if isinstance(value, int | float) and math.isfinite(value):
            yield math.floor(value)
