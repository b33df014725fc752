"""What ``run`` returned becomes JSON values, or an error that says what is wrong."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import Field

from domain.analysis import OutputsModel
from domain.errors import OutputError
from engine.discovery.analyses import load_analysis
from engine.worker.outputs import checked_outputs

NAN, INF = float("nan"), float("inf")


class Outputs(OutputsModel):
    """Values of every kind."""

    count: int = Field(default=0, description="A whole number.")
    strict: float = Field(default=0.0, description="Must be finite.")
    loose: float | None = Field(default=None, description="May be undefined.")
    many: list[float | None] = Field(default=[], description="Some may be undefined.")
    table: dict[str, float | None] = Field(default={}, description="Likewise.")


@pytest.fixture
def analysis():
    """Give an analysis with these outputs."""
    found = load_analysis(Path(__file__).parents[2] / "lab" / "double.py").analysis
    return found.model_copy(update={"outputs": Outputs})


@pytest.mark.parametrize("make", [Outputs, dict], ids=["model", "dict"])
@pytest.mark.parametrize("nan", [NAN, INF, -INF, np.float64("nan"), np.float32("nan")])
def test_what_is_not_finite_is_null_and_named_where_the_model_allows_it(analysis, make, nan):
    values, names = checked_outputs(analysis, make(loose=nan, many=[1.0, nan], table={"a": nan, "b": 2.0}))
    assert values == {"count": 0, "strict": 0.0, "loose": None, "many": [1.0, None], "table": {"a": None, "b": 2.0}}
    assert sorted(names) == ["loose", "many[1]", "table.a"]


def test_what_is_not_finite_is_refused_where_the_model_does_not_allow_it(analysis):
    with pytest.raises(OutputError, match=r"`strict`: .* Not finite: strict; allow None in the model to store null"):
        checked_outputs(analysis, Outputs(strict=NAN))


@pytest.mark.parametrize("returned", [None, 3, [1], "text"])
def test_what_are_not_outputs_is_refused(analysis, returned):
    with pytest.raises(
        OutputError, match=f"`run` of `double` must return Outputs; it returned {type(returned).__name__}"
    ):
        checked_outputs(analysis, returned)


@pytest.mark.parametrize(
    ("returned", "reported"),
    [
        ({"count": "many"}, "`count`: Input should be a valid integer"),
        ({"cuont": 1}, "`cuont`: Extra inputs are not permitted"),
        ({"count": 2**53}, "outputs.count"),
        ({"table": {"a.b": 1.0}}, "a.b"),
        ({"many": [2.0, "x"]}, "`many.1`: Input should be a valid number"),
    ],
)
def test_values_that_do_not_fit_are_named(analysis, returned, reported):
    with pytest.raises(OutputError) as caught:
        checked_outputs(analysis, returned)
    assert reported in str(caught.value)


def test_values_of_numpy_are_plain_numbers_afterwards(analysis):
    values, _ = checked_outputs(analysis, {"strict": np.float64(1.5), "many": (np.float64(2.0),), "count": True})
    assert values["strict"] == 1.5
    assert type(values["strict"]) is float
    assert values["many"] == [2.0]
    assert values["count"] == 1
