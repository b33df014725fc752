from datetime import date
from enum import StrEnum
from typing import Literal

import pytest
from pydantic import Field

from domain.analysis import Analysis, OutputsModel, ParametersModel
from domain.errors import ParametersError
from domain.result.filter import Condition, conditions


class Kind(StrEnum):
    """A choice."""

    FAST = "fast"


class Parameters(ParametersModel):
    """Of every type."""

    alpha: float = Field(default=1.0, ge=0, description="A number (no unit).")
    count: int = Field(default=1, description="A whole number (no unit).")
    word: str = Field(default="a", description="A text.")
    flag: bool = Field(default=False, description="Yes or no.")
    method: Literal["a", "b"] = Field(default="a", description="A choice.")
    kind: Kind = Field(default=Kind.FAST, description="A choice.")
    day: date = Field(default=date(2026, 1, 1), description="A day.")
    limit: float | None = Field(default=None, description="Perhaps a number (no unit).")
    labels: tuple[str, ...] = Field(default=(), description="Several.")


class Outputs(OutputsModel):
    """One name is a parameter's too."""

    count: int = Field(description="A whole number (no unit).")
    accuracy: float = Field(description="A number (no unit).")


@pytest.fixture(scope="module")
def analysis():
    return Analysis(
        name="demo",
        version="1",
        owners=("team:tests",),
        parameters=Parameters,
        outputs=Outputs,
        run=lambda job, parameters, results_dir: None,
    )


@pytest.mark.parametrize(
    ("word", "name", "comparison", "value"),
    [
        ("alpha=0.5", "parameters.alpha", "=", 0.5),
        ("alpha==0.5", "parameters.alpha", "=", 0.5),
        (" alpha >= 1 ", "parameters.alpha", ">=", 1.0),
        ("parameters.alpha<-2e-3", "parameters.alpha", "<", -0.002),  # outside the bounds: a limit is no value
        ("outputs.count!=3", "outputs.count", "!=", 3),
        ("parameters.count<=3", "parameters.count", "<=", 3),
        ("accuracy>0.9", "outputs.accuracy", ">", 0.9),
        ("word=5", "parameters.word", "=", "5"),
        ("word=null", "parameters.word", "=", "null"),
        ('word="a = b"', "parameters.word", "=", "a = b"),
        ("word==x", "parameters.word", "=", "x"),
        ("word=", "parameters.word", "=", ""),
        ("word=$where", "parameters.word", "=", "$where"),
        ("flag=true", "parameters.flag", "=", True),
        ("flag=no", "parameters.flag", "=", False),
        ("method=b", "parameters.method", "=", "b"),
        ("kind=fast", "parameters.kind", "=", "fast"),
        ("day>=2026-02-01", "parameters.day", ">=", "2026-02-01"),
        ("limit=null", "parameters.limit", "=", None),
        ("limit<3", "parameters.limit", "<", 3.0),
    ],
)
def test_a_word_is_read_by_the_type_of_its_field(analysis, word, name, comparison, value):
    (found,) = conditions(analysis, where=[word])
    assert found == Condition(name, comparison, value)
    assert type(found.value) is type(value)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("alpha", "expected NAME=VALUE"),
        ("", "expected NAME=VALUE"),
        ("=3", "expected NAME=VALUE"),
        ("alpha~3", "expected NAME=VALUE"),
        ("alpha=" + "x" * 400, "expected NAME=VALUE"),
        ("$where=1", "expected NAME=VALUE"),
        ("nothing=3", "has no parameter or output `nothing`. There are parameters: alpha, count, word"),
        ("code.url=3", "outputs: count, accuracy"),
        ("inputs.alpha=3", "has no parameter or output `inputs.alpha`"),
        ("parameters.accuracy=3", "has no parameter or output `parameters.accuracy`"),
        ("count=3", "write parameters.count or outputs.count"),
        ("alpha=high", "`alpha` cannot be compared with 'high': it is number"),
        ("method=c", "one of `a`, `b`"),
        ('alpha={"$gt": 0}', "cannot be compared with"),
        ("labels=a", "Only numbers, yes or no, null and texts of up to 200 characters"),
        ("parameters.count=" + "9" * 30, "cannot be compared with"),
        ("word=" + "x" * 201, "cannot be compared with"),
        ("word=\ud800", "cannot be compared with"),
        ("flag<true", "true has no order"),
        ("limit>null", "null has no order"),
    ],
)
def test_what_cannot_be_queried_is_refused_with_what_can(analysis, word, said):
    with pytest.raises(ParametersError) as caught:
        conditions(analysis, where=[word])
    assert said in str(caught.value)


def test_subject_session_and_code_are_texts(analysis):
    found = conditions(analysis, subject="7", session="s", code="1+0")
    assert found == [Condition("subject", "=", "7"), Condition("session", "=", "s"), Condition("code", "=", "1+0")]
    assert conditions(analysis) == []
    with pytest.raises(ParametersError, match="--subject"):
        conditions(analysis, subject="x" * 201)
