"""The options of a dispatch: read from what people write, and checked together."""

import pytest

from dispatch.model.options import RENAMED, DispatchOptions, InputCheck, read_options
from dispatch.model.sweep import SweepMode
from domain.errors import DispatchError


def test_json_may_be_given_as_text_or_as_itself():
    found = read_options({"query": {"a": 1}, "sweep": {"b": [1]}, "parameters": [{"c": 1}, {"c": 2}]})
    assert found == read_options({"query": '{"a": 1}', "sweep": '{"b": [1]}', "parameters": '[{"c": 1}, {"c": 2}]'})


def test_the_names_of_choices_are_their_values_because_dagster_shows_names():
    assert all(choice.name == choice.value for choice in [*InputCheck, *SweepMode])


@pytest.mark.parametrize("name", RENAMED)
def test_an_option_of_the_earlier_dispatcher_names_what_took_its_place(name):
    with pytest.raises(DispatchError, match=f"`{name}` is an option of the earlier dispatcher: here it is"):
        read_options({"query": "{}", name: "x"})
    new = RENAMED[name].split("`")[1::2]
    assert all(word in DispatchOptions.model_fields for word in new)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, r"choose assets in one way.*\(found: none\)"),
        ({"query": "{}", "records": ["a"]}, r"found: `query` and `records`"),
        ({"asset_ids": ["a"], "query": "{}"}, r"found: `query` and asset ids"),
        ({"query": "{}", "filter_latest": "a"}, "`filter_latest` .* and `filter_by` .* go together"),
        ({"query": "{}", "filter_by": ["a"]}, "go together"),
        ({"query": "{}", "group_by": ["$where"]}, r"'\$where' cannot be a field"),
        ({"query": "{}", "unwind_list_fields": ["a..b"]}, "'a..b' cannot be a field"),
        ({"query": "{}", "group_by": [f"f{i}" for i in range(21)]}, "more than 20 fields"),
        ({"query": "{}", "sweep_mode": "zip"}, "`sweep_mode` is given without a `sweep`"),
        ({"query": "{}", "max_jobs": 0}, "`max_jobs`: Input should be greater"),
        ({"query": "{}", "max_job": 1}, "no option `max_job`, did you mean `max_jobs`"),
        ({"query": "{}", "zzz": 1}, "no option `zzz`"),
        ({"query": "{}", "group_by": ["a.b"], "group_parameters": ["a.c=x"]}, "FIELD one of `a.b`"),
        ({"query": "{}", "group_parameters": ["a=x"]}, "FIELD one of nothing"),
        ({"query": "{}", "group_by": ["a"], "group_parameters": ["a"]}, "expected FIELD=PARAMETER"),
        ({"query": "{}", "group_by": ["a"], "group_parameters": ["a="]}, "expected FIELD=PARAMETER"),
        ({"query": "{}", "group_by": ["a"], "group_parameters": ["a=x", "a=y"]}, "each once"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_with_the_reason(values, reason):
    with pytest.raises(DispatchError, match=reason):
        read_options(values)


def test_all_faults_are_named_at_once():
    with pytest.raises(DispatchError) as caught:
        read_options({"docdb_query": "x", "max_jobs": "many", "quer": "{}"})
    assert all(word in str(caught.value) for word in ("`docdb_query`", "`max_jobs`", "did you mean `query`?"))


def test_asset_ids_of_the_list_and_of_the_csv_are_taken_once_each():
    found = read_options({"asset_ids": ["b", " a ", ""], "asset_csv": "asset_id\na\nc\n"})
    assert found.all_asset_ids() == ["b", "a", "c"]


def test_a_group_field_may_be_named_for_a_parameter():
    found = read_options({"query": "{}", "group_by": ["a.b=c", "d"], "group_parameters": ["a.b=c=x", "d = y"]})
    assert found.parameter_of_group_field() == {"a.b=c": "x", "d": "y"}
