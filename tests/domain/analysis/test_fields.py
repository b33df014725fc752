"""What a model says of its fields, in words."""

from dataclasses import replace
from typing import Literal

import pytest
from pydantic import Field

from domain.analysis import OutputsModel, ParametersModel
from domain.analysis.fields import FieldFacts, describe_fields, fields_without_unit, markdown_table


class Model(ParametersModel):
    """Fields of every kind."""

    bin_s: float = Field(default=60.0, gt=0, le=3600, description="Bin width (not rounded) of the ratio (s).")
    counts: list[int] = Field(default=[], min_length=1, max_length=9, description="How many;\n  in all (count).")
    method: Literal["a", "b"] = Field(default="a", description="Which (of the two).")
    label: str | None = Field(default=None, pattern="^x", description="A label (for people).")
    is_on: bool = Field(default=True, description="Whether.")
    by_name: dict[str, float] = Field(default={}, description="Weights.")
    step: int = Field(multiple_of=2, ge=0, description="Step | width (no unit).")


FACTS = {fact.name: fact for fact in describe_fields(Model)}


@pytest.mark.parametrize(
    "expected",
    [
        FieldFacts("bin_s", "number", "s", "60.0", "> 0, ≤ 3600", "Bin width (not rounded) of the ratio."),
        FieldFacts("counts", "list of whole number", "count", "[]", "length ≥ 1, length ≤ 9", "How many; in all."),
        FieldFacts("method", "one of `a`, `b`", "", "a", "", "Which (of the two)."),
        FieldFacts("label", "text or none", "", "null", "matches ^x", "A label (for people)."),
        FieldFacts("is_on", "yes or no", "", "true", "", "Whether."),
        FieldFacts("by_name", "table of number", "", "{}", "", "Weights."),
        FieldFacts("step", "whole number", "no unit", "", "≥ 0, a multiple of 2", "Step | width."),
    ],
    ids=lambda fact: fact.name,
)
def test_a_field_is_described(expected):
    found = FACTS[expected.name]
    assert set(found.bounds.split(", ")) == set(expected.bounds.split(", "))
    assert replace(found, bounds="") == replace(expected, bounds="")


def test_numbers_without_a_unit_are_found():
    assert fields_without_unit(Model) == ["by_name"]


def test_a_long_remark_in_parentheses_is_no_unit():
    class Remark(OutputsModel):
        """One."""

        x: float = Field(description="A number (which is whatever the file happens to say about it, or not).")

    assert fields_without_unit(Remark) == ["x"]
    assert describe_fields(Remark)[0].meaning.endswith("or not).")


def test_a_table_keeps_its_columns_whatever_a_description_holds():
    lines = markdown_table(describe_fields(Model), with_defaults=True).splitlines()
    assert lines[0] == "| name | type | unit | default | bounds | meaning |"
    assert "| `step` | whole number | no unit |  |" in lines[-1]
    assert "Step \\| width." in lines[-1]
    assert markdown_table([FACTS["bin_s"]], with_defaults=False).splitlines()[-1] == (
        "| `bin_s` | number | s | Bin width (not rounded) of the ratio. |"
    )
