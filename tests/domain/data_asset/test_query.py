"""Queries are data: what is refused, which fields they name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.data_asset.query import (
    REFUSED,
    fields_of,
    is_field,
    parse_query,
    projection,
    unknown_field,
    without_positions,
)
from domain.errors import DispatchError
from tests.real_data import REAL_DATA, needs_real_data

QUERIES = REAL_DATA / "queries"


@pytest.mark.parametrize("operator", REFUSED)
@pytest.mark.parametrize(
    "shape",
    [
        '{"%s": "x"}',
        '{"a": {"%s": "x"}}',
        '{"$or": [{"a": 1}, {"b": {"$elemMatch": {"%s": 1}}}]}',
        '{"$expr": {"$eq": [1, {"%s": {"body": "x", "args": [], "lang": "js"}}]}}',
    ],
)
def test_operators_that_run_code_or_write_are_refused_by_name_at_any_depth(operator, shape):
    with pytest.raises(DispatchError, match=rf"`\{operator}` at .* is not allowed: it (runs code|writes)"):
        parse_query(shape % operator)


@given(
    st.lists(st.sampled_from(["a", "$and", "$not", "$expr", "$elemMatch"]), max_size=20), st.sampled_from(list(REFUSED))
)
def test_no_nesting_hides_a_refused_operator(path, operator):
    query = {operator: 1}
    for name in path:
        query = {name: [query]} if name == "$and" else {name: query}
    with pytest.raises(DispatchError, match=rf"`\{operator}`"):
        parse_query(json.dumps(query))


def test_operators_are_refused_in_any_spelling_and_all_at_once():
    with pytest.raises(DispatchError, match=r"`\$where` at the top .*`\$out` at `a\[0\]`"):
        parse_query('{"$WHERE": "1", "a": [{"$out": "x"}]}')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "is a list; expected one JSON object, a find filter. Grouping"),
        ('[{"$match": {}}]', "is a list"),
        ('"x"', "is a string; expected"),
        ('{"a": 1, "a": 2}', "gives `a` twice"),
        ('{"a": 1e999}', "not a finite number"),
        ("{" * 50, "is not JSON"),
        ('{"a":' * 50 + "1" + "}" * 50, "nested deeper"),
    ],
)
def test_what_is_not_a_filter_is_refused_with_the_reason(text, reason):
    with pytest.raises(DispatchError, match=reason.replace("[", r"\[")):
        parse_query(text)


def test_a_value_that_looks_like_an_operator_is_a_value():
    assert parse_query('{"a": "$where", "b": ["$out"]}') == {"a": "$where", "b": ["$out"]}


def test_the_fields_of_a_filter_are_found_at_any_depth():
    query = {
        "subject.subject_id": "1",
        "$or": [{"a.0.b": {"$gt": 1}}, {"$and": [{"c": 1}, "odd"]}],
        "m": {"$elemMatch": {"x": 1, "y.z": {"$in": [1]}}},
        "n": {"$not": {"$elemMatch": {"q": 1}}},
        "plain": {"not": "fields"},
        "$expr": {"$gt": ["$a", 1]},
        "$nor": "odd",
    }
    assert fields_of(query) == sorted(["subject.subject_id", "a.b", "c", "m", "m.x", "m.y.z", "n", "n.q", "plain"])


def test_a_projection_never_holds_a_field_inside_another_one():
    assert projection(["a.b", "a", "c.0.d", "e.f", "e.f.g", "ab", "h.1"]) == dict.fromkeys(
        ["a", "ab", "c", "e.f", "h"], 1
    )


def test_positions_are_not_part_of_a_fields_name():
    assert without_positions("a.0.b.12") == "a.b"


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("a.b", True),
        ("Code Ocean", True),
        ("", False),
        ("$a", False),
        ("a.$b", False),
        ("a..b", False),
        ("a.", False),
        ("a\0", False),
    ],
)
def test_a_field_has_no_operator_and_no_empty_part(text, good):
    assert is_field(text) is good


@pytest.mark.parametrize(
    ("field", "reported"),
    [
        ("subject.subjct_id", "did you mean `subject.subject_id`?"),
        ("subject_id", "did you mean `subject.subject_id`?"),
        ("zzz", "No record has a field `zzz`."),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest_one(field, reported):
    assert reported in unknown_field(field, {"subject.subject_id", "name", "data_description.data_level"})


@needs_real_data
@pytest.mark.parametrize("name", ["dispatch_input_query.json", "template_input_query.json"])
def test_the_real_queries_are_read(name):
    assert "subject.subject_id" in fields_of(parse_query((QUERIES / name).read_text(encoding="utf-8")))
