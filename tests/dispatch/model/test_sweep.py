"""Sweeps: lists and ranges, each with each or in pairs."""

import json

import pytest

from dispatch.model.sweep import SweepMode, combined_sets, sweep_sets
from domain.errors import DispatchError


def sets(sweep, mode=SweepMode.product):
    return sweep_sets(sweep if isinstance(sweep, str) else json.dumps(sweep), mode=mode)


def test_a_product_takes_each_with_each_and_the_last_changes_fastest():
    assert sets({"a": [1, 2], "b": ["x", "y"]}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_a_zip_takes_them_in_pairs():
    assert sets({"a": [1, 2], "b": ["x", "y"]}, SweepMode.zip) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.mark.parametrize(
    ("span", "values"),
    [
        ({"start": 0.1, "stop": 0.4, "step": 0.1}, [0.1, 0.2, 0.3, 0.4]),
        ({"start": 1, "stop": 7, "step": 3}, [1, 4, 7]),
        ({"start": 1, "stop": 6, "step": 3}, [1, 4]),
        ({"start": 5, "stop": 1, "step": -2}, [5, 3, 1]),
        ({"start": 0, "stop": 1, "count": 5}, [0, 0.25, 0.5, 0.75, 1]),
        ({"start": 2, "stop": 2, "step": 1}, [2]),
    ],
)
def test_a_range_ends_where_it_says_and_has_no_rounding_errors(span, values):
    assert [entry["a"] for entry in sets({"a": span})] == values


def test_whole_numbers_stay_whole():
    assert all(isinstance(entry["a"], int) for entry in sets({"a": {"start": 1, "stop": 3, "step": 1}}))


def test_values_of_a_list_may_be_anything():
    assert sets({"a": [{"start": 1}, [1], None]}) == [{"a": {"start": 1}}, {"a": [1]}, {"a": None}]


@pytest.mark.parametrize(
    ("sweep", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "is a list; expected an object"),
        ({}, "is an empty object"),
        ({"a": []}, "`a` is an empty list"),
        ({"a": 3}, "`a` is a number; expected a list"),
        ({"a": {"start": 1, "stop": 2}}, "`a` is an object; expected a list of values, or a range"),
        ({"a": {"start": 1, "stop": 2, "step": 0}}, "has no values"),
        ({"a": {"start": 1, "stop": 2, "step": -1}}, "has no values"),
        ({"a": {"start": 1, "stop": 2, "count": 1}}, "has no values"),
        ({"a": {"start": 1, "stop": 2, "count": 2.5}}, "has no values"),
        ({"a": {"start": 0, "stop": 1, "step": 1e-9}}, "or more than 10000"),
        ({"a": {"start": "0", "stop": 1, "step": 1}}, "something else than finite numbers"),
        ({"a": {"start": True, "stop": 1, "step": 1}}, "something else than finite numbers"),
        ('{"a": {"start": 0, "stop": 1e999, "step": 1}}', "something else than finite numbers"),
        ('{"a": [1e999]}', "not a finite number"),
        ({"a": list(range(101)), "b": list(range(100))}, "spans 10100 sets"),
    ],
)
def test_a_sweep_that_cannot_be_meant_is_refused_with_the_reason(sweep, reason):
    with pytest.raises(DispatchError, match=reason):
        sets(sweep)


def test_lists_of_different_length_are_not_zipped():
    with pytest.raises(DispatchError, match="`a` has 2, `b` has 3 values"):
        sets({"a": [1, 2], "b": [1, 2, 3]}, SweepMode.zip)


def test_without_a_sweep_there_are_no_sets():
    assert sets(" ") == []


def test_listed_and_swept_sets_are_combined_each_with_each():
    assert combined_sets([], []) == [{}]
    assert combined_sets([{"a": 1}], []) == [{"a": 1}]
    assert combined_sets([{"a": 1}, {"a": 2}], [{"b": 1}, {"b": 2}])[1] == {"a": 1, "b": 2}
    with pytest.raises(DispatchError, match="`a` is given in the distributed parameters and in the sweep"):
        combined_sets([{"a": 1}], [{"a": 2}])
