"""Bounds, and the figure of those who keep them."""

from types import SimpleNamespace

import pytest

from analysis_assets.methods.criteria import Criterion, draw_criteria

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("value", "is_met"), [(0.9, False), (1.0, True), (1.5, True), (2.0, True), (2.1, False), (None, False)]
)
def test_a_bound_includes_its_ends_and_an_unknown_value_fails(value, is_met):
    criterion = Criterion("x", "x", lowest=1.0, highest=2.0)
    assert criterion.is_met(SimpleNamespace(x=value)) is is_met


def test_an_open_bound_lets_every_known_value_pass():
    assert Criterion("x", "x").is_met(SimpleNamespace(x=-1e9))


def test_the_figure_is_the_same_for_the_same_rows_and_small():
    rows = [SimpleNamespace(x=i / 100, y=None if i % 3 else i) for i in range(100)]
    criteria = [Criterion("x", "x (fraction)", highest=0.5, limit=1), Criterion("y", "y", lowest=10)]
    first, second = (draw_criteria(rows, criteria, title="some") for _ in range(2))
    assert first == second
    assert first.startswith(PNG)
    assert len(first) < 100_000


def test_the_figure_shows_what_the_rows_are():
    criteria = [Criterion("x", "x", lowest=1.0)]
    one, other = (draw_criteria([SimpleNamespace(x=x)], criteria, title="one") for x in (0.5, 1.5))
    assert one != other


@pytest.mark.parametrize("value", [None, 0.0])
def test_rows_without_any_known_or_positive_value_can_be_drawn(value):
    assert draw_criteria([SimpleNamespace(x=value)], [Criterion("x", "x")], title="t").startswith(PNG)


def test_without_rows_the_figure_is_its_title():
    assert draw_criteria([], [Criterion("x", "x")], title="a") != draw_criteria([], [Criterion("x", "x")], title="b")


@pytest.mark.parametrize("rows", [[], [SimpleNamespace(x=1)]])
def test_a_title_is_written_as_it_is(rows):
    assert draw_criteria(rows, [Criterion("x", "x")], title=r"costs $\nothing$").startswith(PNG)
