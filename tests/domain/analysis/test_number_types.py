"""Equal job keys give equal values of equal types: other annotations are rejected when an analysis is loaded."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, TypeVar, Union
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    PlainValidator,
    StrictFloat,
    StrictInt,
    field_serializer,
    field_validator,
    model_validator,
)
from typing_extensions import TypeAliasType

from domain.analysis import Analysis, OutputsModel, ParametersModel
from domain.analysis.json_samples import samples_of
from domain.analysis.model_rules import check_parameters_model
from domain.analysis.number_types import collision_in, spellings, with_types
from domain.analysis.parameters import dump, resolve, validate_stored
from domain.errors import AnalysisFileError, ParametersError
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import Job
from domain.json_values import canonical_json

MANY = settings(max_examples=150, deadline=None, database=None)
T = TypeVar("T")
INPUTS = JobInputs.of(Job(s3_location=("s3://b/a",)))


class Small(IntEnum):
    """Whole numbers."""

    ONE = 1


class Share(Enum):
    """Numbers with a point."""

    ALL = 1.0
    HALF = 0.5


class Pair(ParametersModel):
    """Two numbers."""

    x: int = Field(description="X.")
    y: float = Field(description="Y.")


class Swapped(ParametersModel):
    """The same fields with the other types."""

    x: float = Field(description="X.")
    y: int = Field(description="Y.")


class Other(ParametersModel):
    """Other fields."""

    a: float = Field(description="A.")


class Either(ParametersModel):
    """A field with two types."""

    x: int | float = Field(description="X.")


class Node(ParametersModel):
    """A model that mentions itself."""

    child: "Node | None" = Field(default=None, description="Child.")
    size: float = Field(default=1.0, description="Size.")


REJECTED = [
    int | float,
    float | int,
    int | float | None,
    int | str | float,
    bool | int | float,
    StrictInt | StrictFloat,
    Annotated[int, Field(ge=5000)] | float,
    Annotated[int | float, Field(multiple_of=7, gt=70)],
    Literal[1, 1.0],
    int | Literal[1.0],
    float | Literal[3],
    Share | int,
    Any,
    object,
    JsonValue,
    dict,
    list,
    tuple,
    Sequence,
    dict[str, Any],
    dict[str, int | float],
    list[int | float],
    list[dict[str, list[int | float]]],
    tuple[int | float, ...],
    tuple[str, int | float],
    Annotated[list[int | float], Field(min_length=5)],
    list[int] | list[float],
    tuple[int, ...] | list[float],
    tuple[int, ...] | tuple[float, float],
    list[list[int] | list[float]],
    Pair | Swapped,
    dict[str, Pair | Swapped],
    TypeAliasType("Number", int | float),
    NewType("Number", Any),
    T,
    Annotated[Any, PlainValidator(lambda value: value)],
]
ACCEPTED = [
    int,
    float,
    bool,
    str,
    int | None,
    float | None,
    int | str,
    str | float,
    bool | int,
    float | bool,
    Decimal,
    Decimal | int,
    datetime | str,
    datetime | float,
    date | int,
    timedelta | int,
    UUID | str,
    Path,
    bytes | str,
    Small,
    Small | int,
    Small | float,
    Share,
    Share | float,
    Literal[1],
    Literal["a", 2, 2.5],
    Literal["raise", "a b"],
    list[Literal["raise", "no_such_name"]],
    Literal[3] | float,
    Literal[1.0] | int,
    Literal[True, 1],
    list[float],
    Sequence[int],
    tuple[int, float],
    dict[str, float],
    dict[int, float],
    dict[int | float, str],
    Mapping[str, list[int]],
    float | list[float],
    int | tuple[int, int] | None,
    list[int] | dict[str, float],
    Annotated[int, Field(gt=10)] | Annotated[float, Field(lt=5)],
    Annotated[int | float, AfterValidator(float)],
    Pair,
    Pair | Other | None,
    dict[str, list[Pair]],
    Node,
]


def named(annotation):
    """Name a type without the address of a function, which differs between processes."""
    return str(annotation).partition(" at 0x")[0]


def model_of(annotation, **field):
    given = {"description": "Text."} | field
    return type("Parameters", (ParametersModel,), {"__annotations__": {"x": annotation}, "x": Field(**given)})


def analysis_of(model, *, checked=True):
    values = {
        "name": "a", "version": "1", "owners": ("team:t",), "parameters": model, "outputs": OutputsModel, "run": lambda *_: None,
    }  # fmt: skip
    return Analysis(**values) if checked else Analysis.model_construct(**values)


def received(analysis, value):
    """Return key and parameters of a job as ``run`` receives them; None if its value is rejected."""
    try:
        found = resolve(analysis, Job(s3_location=("s3://b/a",)), fixed={}, by_hand={"x": value}).values
    except ParametersError:
        return None
    stored = json.loads(json.dumps(found))
    return job_key(INPUTS, found), validate_stored(analysis, stored).x


def received_unchecked(analysis, text):
    """Return key and parameters of a job, without the check when it is ingested."""
    stored = dump(analysis.parameters.model_validate_json(f'{{"x": {text}}}'))
    return job_key(INPUTS, stored), validate_stored(analysis, stored).x


@pytest.mark.parametrize("annotation", REJECTED, ids=named)
def test_two_types_of_one_key_are_rejected_and_the_message_shows_them(annotation):
    model = model_of(annotation)
    with pytest.raises(AnalysisFileError, match=r"`Parameters\.x` reads `.+` as .+ and `.+` as .+ same job key"):
        check_parameters_model(model)
    found = collision_in(annotation)
    one, other = (json.loads(text) for text in (found.one, found.other))
    assert canonical_json(one) == canonical_json(other)
    assert found.one_type != found.other_type


@pytest.mark.parametrize(
    "annotation", [a for a in REJECTED if "min_length" not in str(a) and a is not JsonValue], ids=named
)
def test_every_rejected_type_really_gives_two_values_for_one_key(annotation):
    found = collision_in(annotation)
    analysis = analysis_of(model_of(annotation), checked=False)
    (key, one), (same, other) = (received_unchecked(analysis, text) for text in (found.one, found.other))
    assert key == same
    assert with_types(one) != with_types(other)


@pytest.mark.parametrize("annotation", ACCEPTED, ids=named)
def test_other_types_are_accepted_and_every_spelling_gives_the_same_value(annotation):
    model = model_of(annotation)
    check_parameters_model(model)
    analysis, read = analysis_of(model), 0
    for sample in samples_of(annotation):
        known = {}
        for spelling in spellings(sample):
            if (found := received(analysis, spelling)) is not None:
                read += 1
                assert known.setdefault(found[0], with_types(found[1])) == with_types(found[1])
    assert read


LEAVES = [int, float, bool, str, None, Literal[1], Literal[1.0], Small, Share, Decimal, Any]


def made(kinds):
    pairs = st.tuples(kinds, kinds)
    return st.one_of(
        pairs.map(lambda pair: Union[pair]),  # noqa: UP007 - of a tuple
        kinds.map(lambda kind: list[kind]),
        kinds.map(lambda kind: dict[str, kind]),
        pairs.map(lambda pair: tuple[pair]),
    )


NUMBERS = st.sampled_from([0, 1, -1, 2, 1.0, 0.5, -1.0, 2.0, True, None, "a", "1"])
VALUES = st.recursive(
    NUMBERS, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.just("k"), v, max_size=1), max_leaves=4
)


@MANY
@given(st.recursive(st.sampled_from(LEAVES), made, max_leaves=4), VALUES)
def test_no_accepted_type_gives_two_values_for_one_key(annotation, value):
    model = model_of(annotation)
    assume(collision_in(annotation) is None)
    check_parameters_model(model)
    analysis, known = analysis_of(model), {}
    for spelling in spellings(json.loads(canonical_json(value))):
        if (found := received(analysis, spelling)) is not None:
            assert known.setdefault(found[0], with_types(found[1])) == with_types(found[1])


@pytest.mark.parametrize("value", [3, 3.0])
def test_a_validator_of_the_model_that_keeps_both_types_is_found_when_a_job_is_ingested(value):
    class Kept(ParametersModel):
        """The validator returns what it gets."""

        x: float = Field(description="X.")

        @field_validator("x", mode="plain")
        @classmethod
        def _as_it_is(cls, value):
            return value

        @field_serializer("x")
        def _kept(self, value):
            return value

    with pytest.raises(
        ParametersError, match=r"does not keep `x`: it reads `1` and `1\.0`, which are the same job key"
    ):
        resolve(analysis_of(Kept), Job(s3_location=("s3://b/a",)), fixed={}, by_hand={"x": value})


def test_a_validator_that_fails_for_the_other_spelling_is_accepted():
    class Picky(ParametersModel):
        """Fails for numbers without a point."""

        x: float = Field(description="X.")

        @model_validator(mode="before")
        @classmethod
        def _floats_only(cls, values):
            return {"x": {float: 1.5}[type(values["x"])]} if values["x"] != 1.5 else values

    assert received(analysis_of(Picky), 2.0)[1] == 1.5
    assert received(analysis_of(Picky), 2) is None


def test_a_field_of_a_nested_model_is_named_with_its_model():
    with pytest.raises(AnalysisFileError, match=r"`Either\.x` reads `1` as int and `1\.0` as float"):
        check_parameters_model(model_of(list[Either]))


def test_the_limits_of_a_field_are_part_of_the_test():
    assert collision_in(int | float, [Field(gt=5000)]).one == "5001"
    assert collision_in(int | float, [AfterValidator(float)]) is None


def test_values_are_equal_with_their_types_only():
    pairs = [
        (1, 1.0),
        (1, True),
        ([1], (1,)),
        ({"a": 1}, {"a": 1.0}),
        (Pair(x=1, y=1), Swapped(x=1, y=1)),
        (Small.ONE, 1),
    ]
    assert [with_types(one) == with_types(other) for one, other in pairs] == [False] * len(pairs)
    assert with_types({"a": 1, "b": {2, 3}}) == with_types({"b": {3, 2}, "a": 1})
    assert with_types(Pair(x=1, y=2)) == with_types(Pair(x=1, y=2))


def test_at_most_64_spellings_are_tested():
    assert len(list(spellings([1] * 20))) == 64
    assert list(spellings([1, "a"])) == [[1, "a"], [1.0, "a"]]
    assert list(spellings(math.pi)) == [math.pi]
