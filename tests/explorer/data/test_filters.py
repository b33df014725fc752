"""Filters as AG Grid gives them, and whatever else may come in their place."""

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.data.columns import Column
from explorer.data.filters import cleaned, condition

COLUMNS = {name: Column(name, kind, name, "") for name, kind in (("t", "text"), ("n", "number"), ("d", "time"))}
FRAME = pl.DataFrame(
    {
        "t": ["Alpha", "beta", None, "al(pha", ""],
        "n": [1.0, 2.0, None, 4.0, 5.0],
        "d": pl.Series(["2026-01-01 00:00", "2026-01-01 23:59", "2026-01-02 08:00", None, "2026-02-01 00:00"])
        .str.to_datetime("%Y-%m-%d %H:%M")
        .dt.replace_time_zone("UTC"),
    }
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def rows(model):
    """Return the numbers of the rows that a model leaves."""
    good, notes = cleaned(model, COLUMNS)
    assert notes == []
    return FRAME.with_row_index().filter(condition(good, COLUMNS))["index"].to_list()


def text(how, value=None):
    """Write a rule on the texts."""
    return {"t": {"filterType": "text", "type": how, "filter": value}}


def number(how, value=None, last=None):
    """Write a rule on the numbers."""
    return {"n": {"filterType": "number", "type": how, "filter": value, "filterTo": last}}


def day(how, first=None, last=None):
    """Write a rule on the times."""
    return {"d": {"filterType": "date", "type": how, "dateFrom": first, "dateTo": last}}


@pytest.mark.parametrize(
    ("model", "left"),
    [
        ({}, [0, 1, 2, 3, 4]),
        (text("contains", "LPHA"), [0]),
        (text("contains", "al("), [3]),
        (text("contains", ".*"), []),
        (text("notContains", "alpha"), [1, 2, 3, 4]),
        (text("equals", "alpha"), [0]),
        (text("notEqual", "beta"), [0, 2, 3, 4]),
        (text("startsWith", "al"), [0, 3]),
        (text("endsWith", "a"), [0, 1, 3]),
        (text("blank"), [2, 4]),
        (text("notBlank"), [0, 1, 3]),
        (number("equals", 2), [1]),
        (number("notEqual", 2), [0, 2, 3, 4]),
        (number("lessThan", 2), [0]),
        (number("lessThanOrEqual", 2), [0, 1]),
        (number("greaterThan", 2), [3, 4]),
        (number("greaterThanOrEqual", 4), [3, 4]),
        (number("inRange", 2, 4), [1, 3]),
        (number("blank"), [2]),
        (day("equals", "2026-01-01 00:00:00"), [0, 1]),
        (day("inRange", "2026-01-01", "2026-01-02 00:00:00"), [0, 1, 2]),
        (day("lessThan", "2026-01-02"), [0, 1]),
        (day("greaterThan", "2026-01-02"), [4]),
        (day("notBlank"), [0, 1, 2, 4]),
        (number("greaterThan", 1) | text("contains", "a"), [1, 3]),
        ({"t": {"operator": "OR", "conditions": [text("equals", "beta")["t"], text("blank")["t"]]}}, [1, 2, 4]),
        ({"n": {"operator": "AND", "conditions": [number("lessThan", 5)["n"], number("greaterThan", 1)["n"]]}}, [1, 3]),
    ],
)
def test_a_filter_leaves_what_meets_it(model, left):
    assert rows(model) == left


@pytest.mark.parametrize(
    "model",
    [
        {"other": {"type": "equals", "filter": "x"}},
        {"__class__": {"type": "equals", "filter": "x"}},
        {"t": None},
        {"t": {"type": "eval", "filter": "x"}},
        {"t": {"type": "contains", "filter": {"$where": "1"}}},
        {"t": {"type": "contains", "filter": "x" * 1001}},
        {"t": {"operator": "XOR", "conditions": [{"type": "blank"}]}},
        {"t": {"operator": "AND", "conditions": []}},
        {"t": {"operator": "AND", "conditions": [{"type": "blank"}] * 21}},
        {"t": {"operator": "AND", "conditions": [7]}},
        {"t": {"type": ["contains"], "filter": "x"}},
        {"n": {"type": "equals", "filter": "2"}},
        {"n": {"type": "equals", "filter": True}},
        {"n": {"type": "equals", "filter": float("nan")}},
        {"n": {"type": "inRange", "filter": 1}},
        {"d": {"type": "equals", "dateFrom": "now"}},
        {"d": {"type": "equals", "dateFrom": None}},
    ],
)
def test_a_filter_that_cannot_be_used_is_left_out_and_reported(model):
    good, notes = cleaned(model, COLUMNS)
    assert good == {}
    assert len(notes) == 1
    assert next(iter(model)) in notes[0]


@given(model=JSON | st.dictionaries(st.sampled_from("tnd"), JSON, max_size=3))
def test_whatever_comes_gives_a_condition(model):
    good, _ = cleaned(model, COLUMNS)
    assert FRAME.filter(condition(good, COLUMNS)).height <= FRAME.height
    assert cleaned(json.loads(json.dumps(good)), COLUMNS) == (good, [])
