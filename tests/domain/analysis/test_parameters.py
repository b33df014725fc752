import json
import math
import os
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from domain.analysis import Analysis, OutputsModel, ParametersModel
from domain.analysis.parameters import ResolvedParameters, dump, resolve, validate_stored
from domain.errors import ParametersError
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import AnalysisCode, Job

QUICK = settings(max_examples=100, deadline=None, database=None)


class Outputs(OutputsModel):
    """What the demo gives."""

    rate_hz: float = Field(description="Rate.")


class Method(Enum):
    """A choice."""

    FAST = "fast"
    EXACT = "exact"


class Window(ParametersModel):
    """A nested model."""

    start_s: float = Field(default=0.0, description="Start.")
    stop_s: float = Field(default=1.0, description="Stop.")


class Parameters(ParametersModel):
    """What the demo takes."""

    bin_s: float = Field(default=0.05, gt=0, description="Bin width.")
    n_shuffles: int = Field(default=100, ge=0, description="Shuffles.")
    method: Method = Field(default=Method.FAST, description="Method.")
    labels: tuple[str, ...] = Field(default=("good",), description="Labels.")
    window: Window = Field(default=Window(), description="Window.")
    limit: float | None = Field(default=None, description="Limit.")
    home: str = Field(default="nowhere", description="A name that every environment has, too.")


def analysis_of(model):
    return Analysis(
        name="demo", version="1", owners=("team:test",), parameters=model, outputs=Outputs, run=lambda *_: None
    )


DEMO = analysis_of(Parameters)
DEFAULTS = {
    "bin_s": 0.05,
    "n_shuffles": 100,
    "method": "fast",
    "labels": ["good"],
    "window": {"start_s": 0.0, "stop_s": 1.0},
    "limit": None,
    "home": "nowhere",
}


def job_with(code=None, **distributed):
    return Job(
        s3_location=("s3://b/a",),
        distributed_parameters=distributed,
        analysis_code=AnalysisCode(parameters=code) if code else None,
    )


def resolved(analysis=DEMO, *, fixed=None, code=None, by_hand=None, **distributed):
    return resolve(analysis, job_with(code, **distributed), fixed=fixed or {}, by_hand=by_hand or {})


def refusal(model=Parameters, **layers):
    with pytest.raises(ParametersError) as caught:
        resolved(analysis_of(model), **layers)
    return str(caught.value)


def key_of(**layers):
    job = job_with()
    return job_key(JobInputs.of(job), resolved(**layers).values)


def model_with(name, annotation, **field):
    fields = {name: Field(description="Tested.", **field)}
    return type("Tested", (ParametersModel,), {"__annotations__": {name: annotation}, "__module__": __name__, **fields})


def test_defaults_are_filled_in_and_named_as_such():
    assert resolved() == ResolvedParameters(values=DEFAULTS, origins=dict.fromkeys(DEFAULTS, "default"), stripped={})


def test_the_later_layer_wins_key_by_key_and_its_origin_is_kept():
    found = resolved(
        fixed={"bin_s": 1, "n_shuffles": 1, "limit": 1, "home": "1"},
        code={"n_shuffles": 2, "limit": 2, "home": "2"},
        by_hand={"limit": 3, "home": "3"},
        home="4",
    )
    assert found.values == {**DEFAULTS, "bin_s": 1.0, "n_shuffles": 2, "limit": 3.0, "home": "4"}
    assert found.origins == {
        **dict.fromkeys(DEFAULTS, "default"),
        "bin_s": "fixed_parameters",
        "n_shuffles": "analysis_code",
        "limit": "by_hand",
        "home": "distributed_parameters",
    }


def test_the_merge_is_shallow():
    found = resolved(fixed={"window": {"start_s": 5, "stop_s": 9}}, window={"stop_s": 7})
    assert found.values["window"] == {"start_s": 0.0, "stop_s": 7.0}


def test_labels_that_control_a_run_are_stripped_reported_and_change_no_key():
    found = resolved(fixed={"dry_run": False, "bin_s": 1}, by_hand={"dry_run": True}, **{"dry run": "1"})
    assert found.stripped == {"dry_run": "fixed_parameters, by_hand", "dry run": "distributed_parameters"}
    assert found.values == {**DEFAULTS, "bin_s": 1.0}
    assert key_of(**{"dry run": "1", "input_directory": "/x", "output_directory": 3, "file_location": []}) == key_of()


def test_file_location_is_a_parameter_only_of_a_model_that_has_the_field():
    assert resolved(file_location="s3://b/stale").stripped == {"file_location": "distributed_parameters"}
    analysis = analysis_of(model_with("file_location", str, default=""))
    found = resolved(analysis, file_location="x")
    assert found.values == {"file_location": "x"}
    assert found.stripped == {}


def test_every_bad_key_is_named_at_once_with_its_layer():
    told = refusal(
        fixed={"bin_w": 1, "n_shuffles": -1},
        code={"$where": 1, "a.b": 2},
        by_hand={"limit": math.nan},
        **{"method": "slow", "labels": "good", "nul\0": 1, "window": {"stop": 3}, "home": "\ud800", "bin_s": 2**53},
    )
    for part in (
        "unknown key `bin_w` (from fixed_parameters) (did you mean `bin_s`?)",
        "`n_shuffles` (from fixed_parameters): found -1, expected: Input should be greater than or equal to 0",
        "the key `$where` holds `$`: rename it (from analysis_code)",
        "the key `a.b` holds `.`: rename it (from analysis_code)",
        "`limit` is nan, not a finite number (from by_hand)",
        "`method` (from distributed_parameters): found 'slow', expected: Input should be 'fast' or 'exact'",
        "`labels` (from distributed_parameters): found 'good', expected: Input should be a valid array",
        "the key `nul\\x00` holds NUL (from distributed_parameters)",
        "unknown key `window.stop` (from distributed_parameters) (did you mean `stop_s`?)",
        "(known there: `start_s`, `stop_s`)",
        "`home` holds a lone surrogate, which is not a character (from distributed_parameters)",
        "`bin_s` is an integer beyond ±(2^53-1): use a string (from distributed_parameters)",
        "Its parameters are: `bin_s`, `n_shuffles`, `method`, `labels`, `window`, `limit`, `home`.",
    ):
        assert part in told


def test_a_required_parameter_that_nothing_gives_is_named_once():
    model = model_with("rate_hz", float)
    assert "`rate_hz` is required and was not given" in refusal(model)
    told = refusal(model, by_hand={"rate_hz": math.inf})
    assert "`rate_hz` is inf" in told
    assert "required" not in told


def test_nested_models_are_searched_for_the_nearest_name():
    class Step(ParametersModel):
        size_um: float = Field(default=1.0, description="Size.")

    class Other(ParametersModel):
        width: float = Field(default=1.0, description="Width.")

    steps = model_with("steps", tuple[Step, ...], default=())
    assert "unknown key `steps[1].size`" in refusal(steps, steps=[{}, {"size": 3}])
    assert "did you mean `size_um`?" in refusal(steps, steps=[{}, {"size": 3}])
    assert "did you mean" not in refusal(model_with("one", Step | Other, default=Step()), one={"siz_um": 3})
    assert "unknown key" in refusal(
        model_with("map", dict[str, dict[str, Step]], default={}), map={"a": {"b": {"c": 1}}}
    )


def test_a_rule_over_several_fields_is_told_without_a_field():
    class Ordered(ParametersModel):
        a: int = Field(default=1, description="A.")
        b: int = Field(default=2, description="B.")

        @model_validator(mode="after")
        def _ordered(self):
            if self.a > self.b:
                msg = "a must not be larger than b"
                raise ValueError(msg)
            return self

    assert "the parameters together: Value error, a must not be larger than b" in refusal(Ordered, a=3)


def test_a_key_that_is_no_string_is_refused():
    assert "has a key that is a number: keys must be strings" in refusal(by_hand={1: 2})
    assert "which is not a JSON value" in refusal(by_hand={"home": object()})


@pytest.mark.parametrize("failure", [TypeError("no"), KeyError("k"), ZeroDivisionError("z")])
def test_a_validator_that_breaks_is_a_refusal_and_no_crash(failure):
    def broken(_value):
        raise failure

    model = model_with("x", Annotated[int, AfterValidator(broken)], default=1)
    assert f"a validator failed with {type(failure).__name__}" in refusal(model, x=1)


@pytest.mark.parametrize(
    ("annotation", "field", "given", "told"),
    [
        (Annotated[float, AfterValidator(lambda _: math.nan)], {}, {"x": 1}, "`x` is nan"),
        (float, {"default": math.nan}, {}, "`x` is nan"),
        (float | None, {"default": math.inf}, {}, "`x` is inf"),
        (int, {"default": 2**53}, {}, "`x` is an integer beyond"),
        (dict[str, int], {"default": {"a.b": 1}}, {}, "the key `x.a.b` holds `.`"),
        (float, {"default": "1"}, {}, "of another type than declared (`x`)"),
        (str, {"default": object()}, {}, "of another type than declared (`x`)"),
        (Annotated[int, AfterValidator(str)], {}, {"x": 1}, "of another type than declared (`x`)"),
        (Annotated[float, BeforeValidator(lambda v: float(v) / 2)], {}, {"x": 1}, "does not keep `x`: reading"),
        (Annotated[int, PlainSerializer(lambda v: v + 1)], {}, {"x": 1}, "does not keep `x`: reading"),
        (int, {"default": -1, "ge": 0}, {}, "does not keep `x`: Input should be greater"),
    ],
)
def test_a_model_whose_dump_is_not_stable_is_refused_with_the_field(annotation, field, given, told):
    assert told in refusal(model_with("x", annotation, **field), **given)


def test_only_the_fields_that_cannot_be_dumped_are_named():
    class Two(ParametersModel):
        good: int = Field(default=1, description="Good.")
        bad: int = Field(default="1", description="Bad.")

    assert "of another type than declared (`bad`)" in refusal(Two)


def test_a_stable_serializer_is_accepted():
    twice = Annotated[int, BeforeValidator(lambda v: int(v) // 2), PlainSerializer(lambda v: v * 2)]
    assert resolved(analysis_of(model_with("x", twice)), x=6).values == {"x": 6}


def test_a_model_that_refuses_its_own_dump_as_a_whole_is_refused():
    class Once(ParametersModel):
        a: int = Field(default=0, description="A.")

        @model_validator(mode="before")
        @classmethod
        def _only_without_a(cls, data):
            if "a" in data:
                msg = "a is set by default only"
                raise ValueError(msg)
            return data

    assert "does not keep `the model`: Value error, a is set by default only" in refusal(Once)


def test_nothing_is_read_from_the_process_environment(monkeypatch):
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.setenv("bin_s", "77")
    assert os.environ["HOME"] == "/root"
    assert resolved().values == DEFAULTS


def test_stored_values_give_the_same_model_and_the_same_dump():
    values = resolved(bin_s=1, method="exact", window={"stop_s": 3}).values
    model = validate_stored(DEMO, values)
    assert model == Parameters(bin_s=1.0, method=Method.EXACT, window=Window(stop_s=3.0))
    assert dump(model) == values


def test_stored_values_that_the_model_no_longer_has_are_named():
    with pytest.raises(ParametersError, match=r"unknown key `gone` \(from stored job\)"):
        validate_stored(DEMO, {**DEFAULTS, "gone": 1})


def test_stored_values_lacking_a_newer_field_get_its_default():
    older = {key: value for key, value in DEFAULTS.items() if key != "limit"}
    assert dump(validate_stored(DEMO, older)) == DEFAULTS


def test_a_decimal_is_kept_as_text():
    analysis = analysis_of(model_with("x", Decimal))
    assert resolved(analysis, x="0.10").values == {"x": "0.10"}


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "bin_s": st.floats(min_value=1e-300, allow_infinity=False, allow_nan=False),
        "n_shuffles": st.integers(0, 2**53 - 1),
        "method": st.sampled_from(["fast", "exact"]),
        "labels": st.lists(st.text("abc€😀", max_size=3), max_size=3),
        "window": st.fixed_dictionaries({}, optional={"start_s": st.integers(-5, 5), "stop_s": st.floats(0, 9)}),
        "limit": st.none() | st.floats(allow_infinity=False, allow_nan=False),
        "home": st.text("xyz$.", max_size=4),
    },
)


@QUICK
@given(VALUES)
def test_resolving_the_resolved_values_changes_nothing(given_values):
    once = resolved(**given_values)
    again = resolved(fixed=once.values)
    assert again.values == once.values
    assert dump(validate_stored(DEMO, json.loads(json.dumps(once.values)))) == once.values
    assert {name for name, origin in once.origins.items() if origin != "default"} == set(given_values)


@QUICK
@given(VALUES, st.data())
def test_the_layer_the_order_and_written_out_defaults_change_no_key(given_values, data):
    key = key_of(**given_values)
    names = data.draw(st.permutations(sorted(given_values)))
    layer = data.draw(st.sampled_from(["fixed", "code", "by_hand"]))
    assert key_of(**{layer: {name: given_values[name] for name in names}}) == key
    assert key_of(fixed=DEFAULTS, **given_values) == key
    assert key_of(**given_values, dry_run="1") == key


@QUICK
@given(st.integers(1, 2**53 - 1))
def test_a_whole_number_and_the_same_float_give_one_key(number):
    assert key_of(bin_s=number) == key_of(bin_s=float(number)) == key_of(bin_s=str(number))
    assert key_of(n_shuffles=number) == key_of(n_shuffles=float(number))


@QUICK
@given(VALUES, VALUES)
def test_any_other_value_gives_another_key(one, other):
    same = resolved(**one).values == resolved(**other).values
    assert (key_of(**one) == key_of(**other)) is same


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@QUICK
@given(st.dictionaries(st.sampled_from(sorted(DEFAULTS)) | st.text(), ANY, max_size=4))
def test_any_values_are_resolved_or_refused_and_never_crash(values):
    with suppress(ParametersError):
        assert resolved(by_hand=values).values.keys() == DEFAULTS.keys()


def test_literals_and_long_values_are_shown_short():
    told = refusal(model_with("x", Literal["a"], default="a"), x="y" * 5000)
    assert "yyy…" in told
    assert len(told) < 400
