"""Which part of identity makes a result a new one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.result.comparison import Earlier, Identity, differences, nearest
from tests.provenances import rich

WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("pq"), inner, max_size=2),
    max_leaves=4,
)


def identity_of(found):
    urls = (*found.locations, *found.files)
    return Identity.of(urls=urls, parameters=found.parameters, code_version=found.code_version)


IDENTITIES = st.builds(
    Identity,
    st.frozensets(st.sampled_from(["s3://b/1", "s3://b/2", "s3://b/3"]), min_size=1),
    st.dictionaries(st.sampled_from(["x", "y", "z"]), VALUES, max_size=3),
    st.sampled_from(["1+a", "1+b"]),
)


def earlier(identity, number=0, how=""):
    return Earlier(identity, f"{number}" * 64, "run", WHEN + timedelta(days=number), how)


@given(IDENTITIES)
def test_equal_identities_do_not_differ(one):
    assert differences(one, one) == ()


@given(IDENTITIES, IDENTITIES)
def test_differences_are_the_same_both_ways_round(one, other):
    there, back = differences(one, other), differences(other, one)
    assert {(d.part, d.name, repr(d.old), repr(d.new)) for d in there} == {
        (d.part, d.name, repr(d.new), repr(d.old)) for d in back
    }


@given(IDENTITIES, IDENTITIES)
def test_each_part_that_differs_is_named_and_no_other(one, other):
    named = {d.part for d in differences(one, other)}
    assert ("inputs" in named) == (one.inputs != other.inputs)
    assert ("code" in named) == (one.code_version != other.code_version)
    if "parameter" not in named:
        assert one.parameters == other.parameters


@given(IDENTITIES, st.lists(IDENTITIES, min_size=1, max_size=5))
def test_nothing_is_nearer_than_the_nearest(job, others):
    found = nearest(job, [earlier(one, number) for number, one in enumerate(others)])
    parts = [d.part for d in found.differences]
    for other in others:
        theirs = [d.part for d in differences(other, job)]
        order = [[p.count(part) for part in ("inputs", "parameter", "code")] for p in (parts, theirs)]
        assert order[0] <= order[1]


def test_of_equally_near_results_the_newest_is_compared():
    one = Identity(frozenset({"s3://b/1"}), {}, "1+a")
    assert nearest(one, [earlier(one, n) for n in (1, 3, 2)]).earlier.result_id == "3" * 64
    assert nearest(one, []) is None


def test_true_and_one_differ_and_one_and_one_point_zero_do_not():
    old = Identity(frozenset(), {"a": 1, "b": 1, "c": {"d": [0]}}, "1")
    new = Identity(frozenset(), {"a": True, "b": 1.0, "c": {"d": [False]}}, "1")
    assert [(d.name, d.old, d.new) for d in differences(old, new)] == [("a", 1, True), ("c.d", [0], [False])]


@pytest.mark.parametrize(
    ("inputs", "parameters", "words"),
    [
        ({"s3://b/1"}, {"bin_s": 0.2}, "differs in parameter `bin_s`: 0.1 -> 0.2"),
        ({"s3://b/1"}, {"bin_s": 0.1, "n": None}, "differs in parameter `n`: (absent) -> null"),
        ({"s3://b/2"}, {"bin_s": 0.1}, "differs in input added: s3://b/2; input left out: s3://b/1"),
        ({f"s3://b/{n}" for n in range(1, 7)}, {"bin_s": 0.1}, "input added: s3://b/4; 2 more inputs"),
        ({"s3://b/1"}, {"bin_s": "x" * 99}, f"0.1 -> {'x' * 60}…"),
    ],
)
def test_it_is_said_in_words(inputs, parameters, words):
    old = Identity(frozenset({"s3://b/1"}), {"bin_s": 0.1}, "1+a")
    found = nearest(Identity(frozenset(inputs), parameters, "1+a"), [earlier(old, 1, "replaced")])
    assert found.message().startswith(f"the nearest earlier result, {'1' * 12} of 2026-01-03 03:04, since replaced, ")
    assert words in found.message()


def test_the_identity_of_a_result_is_that_of_its_job():
    found = identity_of(rich())
    assert found.inputs == {"s3://bucket/ässet 1", "s3://bucket/asset_2", "s3://bucket/a/file.nwb"}
    assert found.code_version == rich().code_version
    odd = rich(locations=("no url",), files=())
    assert identity_of(odd).inputs == {"no url"}, "one that was accepted under earlier rules"
