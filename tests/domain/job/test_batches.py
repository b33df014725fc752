from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.job.batches import covered, ranges, run_key

QUICK = settings(max_examples=150, deadline=None, database=None)
ORDER = [f"k{i:02d}" for i in range(24)]


@st.composite
def partitions(draw):
    """Draw partitions in some order, wanted ones, passable ones, and a size."""
    order = draw(st.permutations(ORDER)).copy()[: draw(st.integers(0, len(ORDER)))]
    subset = st.sets(st.sampled_from(ORDER))
    return order, draw(subset), draw(subset), draw(st.integers(1, 30))


@QUICK
@given(partitions())
def test_every_wanted_key_is_covered_exactly_once_and_nothing_that_must_not_be_passed(drawn):
    order, wanted, passable, size = drawn
    found = ranges(order, wanted, passable=passable.__contains__, size=size)
    taken = [key for span in found for key in span]
    assert len(taken) == len(set(taken))
    assert [key for key in taken if key in wanted] == [key for key in order if key in wanted]
    assert set(taken) <= wanted | passable


@QUICK
@given(partitions())
def test_ranges_are_contiguous_in_order_no_longer_than_size_and_end_with_wanted_keys(drawn):
    order, wanted, passable, size = drawn
    found = ranges(order, wanted, passable=passable.__contains__, size=size)
    for span in found:
        start = order.index(span[0])
        assert list(span) == order[start : start + len(span)]
        assert len(span) <= size
        assert {span[0], span[-1]} <= wanted
    assert [span[0] for span in found] == sorted((span[0] for span in found), key=order.index)


@QUICK
@given(partitions())
def test_two_neighbouring_ranges_could_not_have_been_one(drawn):
    order, wanted, passable, size = drawn
    found = ranges(order, wanted, passable=passable.__contains__, size=size)
    for left, right in pairwise(found):
        gap = order[order.index(left[-1]) + 1 : order.index(right[0])]
        together = order.index(right[0]) - order.index(left[0]) + 1
        assert together > size or not set(gap) <= passable


@QUICK
@given(partitions())
def test_covered_gives_back_the_keys_of_the_ranges(drawn):
    order, wanted, passable, size = drawn
    found = ranges(order, wanted, passable=passable.__contains__, size=size)
    spans = [(span[0], span[-1]) for span in found]
    assert covered(order, spans) == {key for span in found for key in span}


def test_wanted_keys_without_partition_are_left_out():
    assert ranges(["a", "b"], ["b", "z"], passable=lambda _: True, size=5) == [("b",)]


def test_a_range_passes_over_a_finished_job_but_not_over_a_failed_one():
    order = ["a", "done", "b", "failed", "c"]
    assert ranges(order, {"a", "b", "c"}, passable="done".__eq__, size=9) == [("a", "done", "b"), ("c",)]


def test_unknown_ends_and_no_spans_cover_nothing():
    assert covered(["a", "b"], []) == set()
    assert covered(["a", "b"], [("a", "gone"), ("gone", "b"), ("", "")]) == set()


def test_a_span_given_backwards_covers_nothing():
    assert covered(["a", "b"], [("b", "a")]) == set()


def test_a_run_key_depends_on_the_jobs_and_their_requests_but_not_on_the_order():
    assert run_key({"a": 0, "b": 1}) == run_key({"b": 1, "a": 0})
    keys = [run_key({"a": 0}), run_key({"a": 1}), run_key({"a": 0, "b": 0}), run_key({"b": 0})]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)
