"""A view and its address are the same thing; an address that was made by hand gives a view too."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.data.columns import Column, shown_first
from explorer.state import View, clean_selection, columns_shown, fitted, from_search, part, to_search, with_axes

NAMES = ("state", "ended", "outputs.a", "outputs.b", "parameters.p")
KINDS = ("text", "time", "number", "number", "text")
COLUMNS = {name: Column(name, kind, name, "") for name, kind in zip(NAMES, KINDS, strict=True)}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAME = st.sampled_from(NAMES)
FINITE = st.floats(-1e200, 1e200)
PAIR = st.lists(FINITE, min_size=2, max_size=2).map(sorted)
SELECTIONS = (
    st.just({})
    | st.lists(TEXT.filter(bool), min_size=1, max_size=12).map(lambda rows: {"rows": rows})
    | st.tuples(PAIR, PAIR).map(lambda two: {"box": {"x": two[0], "y": two[1]}})
    | PAIR.map(lambda one: {"box": {"x": one}})
    | st.lists(st.tuples(FINITE, FINITE), min_size=3, max_size=20).map(
        lambda corners: {"lasso": {"x": [x for x, _ in corners], "y": [y for _, y in corners]}}
    )
)
FILTERS = st.just({}) | st.just({"outputs.a": {"filterType": "number", "type": "lessThan", "filter": 2.0}})


@st.composite
def views(draw):
    """Draw any view of the columns."""
    facet = draw(NAME | st.just(""))
    columns = tuple(draw(st.lists(NAME, unique=True)))
    axes = draw(st.sampled_from([("outputs.a", "outputs.b"), ("ended", "")]))
    signed = st.tuples(st.sampled_from(["", "-"]), NAME).map("".join)
    return View(
        analysis=draw(TEXT),
        columns=() if columns == shown_first(COLUMNS) else columns,
        filters=draw(FILTERS),
        sort=tuple(draw(st.lists(signed, unique_by=lambda one: one.removeprefix("-")))),
        q=draw(TEXT),
        facet=facet,
        values=tuple(draw(st.lists(TEXT.filter(bool), unique=True, max_size=4))) if facet else (),
        x=axes[0],
        y=axes[1],
        colour=draw(NAME | st.just("")),
        log_x=draw(st.booleans()),
        log_y=draw(st.booleans()),
        selection=draw(SELECTIONS),
        show=draw(TEXT),
        compare=tuple(draw(st.lists(TEXT.filter(bool), unique=True, max_size=2))),
    )


@given(view=views())
def test_an_address_restores_what_was_seen(view):
    found, notes = from_search(to_search(view))
    assert (found, notes) == (view, [])
    assert fitted(found, COLUMNS) == (view, [])


@given(
    search=st.text(max_size=200)
    | st.dictionaries(
        st.sampled_from(["filters", "selection", "sort", "column", "x", "log", "compare", "show"]), st.text(max_size=50)
    ).map(urlencode)
)
def test_any_address_gives_a_view_that_fits(search):
    view, _ = from_search(search)
    fit, _ = fitted(view, COLUMNS)
    assert {fit.x, fit.y, fit.colour, fit.facet, *fit.columns} <= {"", *COLUMNS}
    assert from_search(to_search(fit)) == (fit, [])


@pytest.mark.parametrize(
    ("search", "reported"),
    [
        ("?filters={", "filters"),
        ("?filters=[1]", "filters"),
        ("?selection=" + "[" * 5000, "selection"),
        ('?selection={"box":{"x":["a",1]}}', "selection"),
        ("?colour=outputs.gone", "outputs.gone"),
        ("?sort=-outputs.gone", "outputs.gone"),
        ("?column=<script>", "script"),
        ("?elsewhere=1", "elsewhere"),
        ("?" + "x" * 40_000, "too long"),
        ('?filters={"gone":{"type":"blank"}}', "gone"),
    ],
)
def test_parts_of_an_address_that_are_not_understood_are_reported(search, reported):
    view, notes = from_search(search)
    _, more = fitted(view, COLUMNS)
    assert [note for note in notes + more if reported in note]


@pytest.mark.parametrize(
    "found",
    [None, 7, {"rows": []}, {"rows": 3}, {"box": {}}, {"box": {"x": [1]}}, {"box": {"x": [1, 2], "y": [1, None]}}, {"box": {"x": [1, True]}}, {"box": {"y": [1, 2]}}, {"lasso": {"x": [1, 2, 3], "y": [1, 2]}}, {"lasso": {"x": [1] * 500, "y": [1] * 500}}, {"box": {"x": [1, float("inf")]}}, {"box": {"x": [1, float("nan")]}}],
)  # fmt: skip
def test_what_is_not_a_selection_selects_nothing(found):
    assert clean_selection(found) == {}


def test_a_part_has_only_its_own_fields():
    view = View(analysis="a", x="outputs.a", q="text", log_x=True)
    assert part(view, "analysis", "q") == View(analysis="a", q="text")


def test_columns_that_are_not_chosen_are_not_in_the_address():
    shown = shown_first(COLUMNS)
    view, notes = fitted(View(columns=shown), COLUMNS)
    assert (to_search(view), notes) == ("", [])
    assert columns_shown(view, COLUMNS) == shown


def test_without_axes_two_outputs_are_drawn_and_facts_where_there_are_none():
    assert (with_axes(View(), COLUMNS).x, with_axes(View(), COLUMNS).y) == ("outputs.a", "outputs.b")
    assert with_axes(View(), {"ended": COLUMNS["ended"]}).y == "duration_s"
    assert with_axes(View(x="ended"), COLUMNS).y == ""


def test_a_selection_on_an_axis_that_is_gone_is_left_out():
    view, notes = fitted(View(x="gone", selection={"box": {"x": [1.0, 2.0]}}), COLUMNS)
    assert view.selection == {}
    assert "gone" in notes[0]
