from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, NewType

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, Secret, SecretBytes, SecretStr, computed_field
from pydantic_settings import BaseSettings, SettingsConfigDict
from typing_extensions import TypeAliasType, TypedDict

from domain.analysis import OutputsModel, ParametersModel
from domain.analysis.model_rules import CONTROL_LABELS, check_outputs_model, check_parameters_model
from domain.errors import AnalysisFileError


class Inner(ParametersModel):
    """A nested model without fault."""

    start_s: float = Field(default=0.0, description="Start.")


class Plain(BaseModel):
    """A nested model that accepts unknown keys."""

    start_s: float = 0.0


class Node(ParametersModel):
    """A model that mentions itself."""

    child: "Node | None" = Field(default=None, description="Child.")


@dataclass
class Window:
    """A plain class with a set inside."""

    units: set[int]


class Pair(NamedTuple):
    """A plain tuple with names."""

    start_s: float
    stop_s: float


class Range(TypedDict):
    """A dictionary that accepts unknown keys."""

    start_s: float


def model_with(annotation=float, *, base=ParametersModel, name="x", **field):
    given = {"description": "Text."} | field
    return type("Parameters", (base,), {"__annotations__": {name: annotation}, name: Field(**given)})


def fault_of(model, check=check_parameters_model):
    with pytest.raises(AnalysisFileError) as caught:
        check(model)
    return str(caught.value)


@pytest.mark.parametrize(
    "annotation",
    [
        float,
        int | None,
        str,
        bool,
        Literal["a", "b"],
        tuple[str, ...],
        list[float],
        dict[str, float],
        Inner,
        Inner | None,
        tuple[Inner, ...],
        dict[str, list[Inner]],
        Node,
        Annotated[int, Field(gt=0)],
        list[Annotated[int, Field(gt=0)]],
        list[Annotated[int, {"unit": "s"}]],
    ],
    ids=str,
)
def test_plain_values_and_nested_models_are_accepted(annotation):
    check_parameters_model(model_with(annotation))


def test_required_fields_and_defaults_are_accepted():
    check_parameters_model(model_with(float, default=1.0))
    check_parameters_model(model_with(Inner, default=Inner()))
    check_parameters_model(type("Parameters", (ParametersModel,), {}))


@pytest.mark.parametrize(
    "annotation",
    [
        set[int],
        frozenset[str],
        set,
        AbstractSet[int],
        set[int] | None,
        list[set[int]],
        dict[str, frozenset[int]],
        tuple[list[set[str]], ...],
        Annotated[set[int], Field(min_length=1)],
        list[Annotated[set[int], {"unit": "s"}]],
        TypeAliasType("Units", set[int]),
        list[TypeAliasType("Units", set[int])],
        NewType("Units", set[int]),
    ],
    ids=str,
)
def test_a_set_is_refused_however_deep_it_stands(annotation):
    assert "`Parameters.x` is a set, which has no order: use a tuple" in fault_of(model_with(annotation))


@pytest.mark.parametrize(
    "annotation",
    [SecretStr, SecretBytes, SecretStr | None, list[SecretStr], Secret[int], dict[str, Secret[str]]],
    ids=str,
)
def test_a_secret_is_refused_because_parameters_are_stored(annotation):
    assert "`Parameters.x` is a secret" in fault_of(model_with(annotation))


@pytest.mark.parametrize(
    ("annotation", "named"),
    [(Window, "Window"), (list[Window], "Window"), (Pair, "Pair"), (Range, "Range"), (Range | None, "Range")],
    ids=str,
)
def test_a_plain_class_is_refused_because_unknown_keys_in_it_go_unseen(annotation, named):
    assert f"`Parameters.x` holds a `{named}`, whose keys are not checked" in fault_of(model_with(annotation))


def test_a_default_factory_is_refused():
    assert "default factory" in fault_of(model_with(list[int], default_factory=list))


@pytest.mark.parametrize(
    "field",
    [
        {"alias": "y"},
        {"validation_alias": "y"},
        {"validation_alias": AliasChoices("y", "z")},
        {"serialization_alias": "y"},
    ],
    ids=str,
)
def test_an_alias_is_refused(field):
    assert "`Parameters.x` has an alias" in fault_of(model_with(**field))


def test_an_excluded_field_is_refused():
    assert "`Parameters.x` is excluded" in fault_of(model_with(exclude=True))


def test_a_computed_field_is_refused():
    class Computed(ParametersModel):
        """One field, one computed."""

        x: float = Field(default=1.0, description="Text.")

        @computed_field
        @property
        def twice(self) -> float:
            """Twice the field."""
            return 2 * self.x

    assert "`Computed.twice` is computed" in fault_of(Computed)
    assert "`Computed.twice` is computed" in fault_of(model_with(Computed))


@pytest.mark.parametrize("description", [None, ""])
def test_a_field_without_description_is_refused_in_parameters_and_outputs(description):
    assert "`x` has no description" in fault_of(model_with(description=description))
    told = fault_of(model_with(base=OutputsModel, description=description), check_outputs_model)
    assert "no description on `x`" in told


def test_described_outputs_of_any_type_are_accepted():
    check_outputs_model(model_with(set[int], base=OutputsModel))


def test_a_model_that_is_not_frozen_or_takes_unknown_keys_is_refused():
    class Loose(BaseModel):
        """Pydantic's defaults."""

        x: float = Field(default=1.0, description="Text.")

    told = fault_of(Loose)
    assert "not frozen" in told
    assert "`Loose` accepts unknown keys" in told

    class Open(ParametersModel):
        """Unknown keys allowed on purpose."""

        model_config = ConfigDict(extra="allow")

    assert "`Open` accepts unknown keys" in fault_of(Open)


@pytest.mark.parametrize("annotation", [Plain, Plain | None, list[Plain], dict[str, Plain]], ids=str)
def test_a_nested_model_that_takes_unknown_keys_is_refused(annotation):
    assert "`Plain` accepts unknown keys" in fault_of(model_with(annotation))


def test_a_model_that_reads_the_process_environment_is_refused():
    class Environment(BaseSettings):
        """Takes values from variables."""

        model_config = SettingsConfigDict(frozen=True, extra="forbid")

        home: str = Field(default="", description="Text.")

    assert "`Environment` reads the process environment" in fault_of(Environment)


def test_faults_in_nested_models_name_the_nested_model():
    middle = model_with(model_with(set[int]))
    assert "`Parameters.x` is a set" in fault_of(model_with(tuple[middle, ...]))


@pytest.mark.parametrize("label", sorted(label for label in CONTROL_LABELS if label.isidentifier()))
def test_labels_that_control_a_run_cannot_be_parameters(label):
    assert f"`{label}` is a label that controls a run" in fault_of(model_with(name=label))


def test_a_parameter_may_be_called_file_location():
    check_parameters_model(model_with(str, name="file_location"))


def test_every_fault_is_named_at_once():
    told = fault_of(model_with(set[SecretStr], exclude=True, alias="y", description="", base=Plain))
    for part in (
        "not frozen",
        "no description",
        "is a set",
        "is a secret",
        "is excluded",
        "has an alias",
        "unknown keys",
    ):
        assert part in told
