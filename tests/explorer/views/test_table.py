"""Which rows a view means, in which order, and what the browser is told of them."""

import numpy as np
import polars as pl
import pytest

from explorer.changes import changed
from explorer.data.analysis_data import Table, columns_of
from explorer.data.columns import POINT, ROW
from explorer.data.frames import from_arrow
from explorer.data.places import axis, chosen
from explorer.state import View, fitted
from explorer.views.table import cell, column_definitions, listed, matching, page, row_named
from tests.explorer.harness import ENTRY, NAME, catalog_of, provenance, result_id


@pytest.fixture(scope="module")
def table():
    """Make a table of forty results."""
    frame = from_arrow(catalog_of([provenance(n) for n in range(40)]), NAME)
    return Table(NAME, frame, columns_of(frame, ENTRY))


def sessions(frame):
    """Return the numbers of the sessions."""
    return [int(name.split()[1]) for name in frame["session"]]


def test_the_newest_come_first_when_no_order_is_requested(table):
    assert sessions(listed(table, View()))[:3] == [39, 38, 37]


def test_rows_are_sorted_by_several_columns(table):
    found = listed(table, View(sort=("subject", "-outputs.n_units")))
    pairs = list(zip(found["subject"], found["outputs.n_units"], strict=True))
    assert pairs == sorted(pairs, key=lambda one: (one[0], -one[1]))


def test_search_finds_subjects_sessions_and_tags_whatever_their_case(table):
    assert sessions(matching(table, View(q="SESSION 17"))) == [17]
    assert matching(table, View(q="subject3")).height == 8
    assert matching(table, View(q="tag1")).height == 10
    assert matching(table, View(q="(.*")).height == 0


def test_only_some_values_of_a_column_are_kept(table):
    assert set(matching(table, View(facet="subject", values=("subject1", "subject2")))["subject"]) == {
        "subject1",
        "subject2",
    }
    assert matching(table, View(facet="outputs.n_units", values=("3",))).height == 3


def test_a_box_limits_the_table_and_not_the_plot(table):
    view = View(x="outputs.rate_hz", y="outputs.n_units", selection={"box": {"x": [2.0, 3.0], "y": [0.0, 2.5]}})
    assert sorted(sessions(listed(table, view))) == [17, 18, 19]
    assert matching(table, view).height == 40


def test_a_lasso_holds_what_is_inside_of_it(table):
    corners = {"x": [0.95, 1.25, 1.25, 0.95], "y": [-0.5, -0.5, 2.5, 2.5]}
    for log in (False, True):
        view = View(x="outputs.rate_hz", y="outputs.n_units", log_x=log, selection={"lasso": corners})
        assert sorted(sessions(chosen(table, table.frame, view))) == [0, 1, 2]


def test_texts_and_times_are_selected_by_their_place_on_the_axis(table):
    assert axis(table, "subject").names == [f"subject{n}" for n in range(5)]
    box = {"box": {"x": [0.5, 1.5], "y": [1.767225600e12 + 3_600_000, 1.767225600e12 + 8 * 3_600_000]}}
    assert sorted(sessions(listed(table, View(x="subject", y="started", selection=box)))) == [1, 6]


def test_single_points_are_selected_by_name(table):
    rows = [result_id(3)[:20], result_id(5)[:20], "gone"]
    assert sorted(sessions(listed(table, View(selection={"rows": rows})))) == [3, 5]


def test_pages_are_json_and_bounded(table):
    frame = listed(table, View())
    found = page(frame, 10, 20)
    assert [row["session"] for row in found] == [f"session {n}" for n in range(29, 19, -1)]
    assert found[0]["ended"] == "2026-01-02 05:00:39"
    assert page(frame, -5, 10**9)[0]["session"] == "session 39"
    assert page(frame, 30, 10) == []


def test_cells_are_short_and_finite():
    assert cell(float("nan")) is None
    assert [cell(one) for one in (True, False)] == ["true", "false"]
    assert len(cell("x" * 10_000)) == 501


def test_columns_say_their_unit_and_hide_what_is_not_chosen(table):
    view, _ = fitted(View(columns=("outputs.rate_hz", "subject"), sort=("-subject",)), table.columns)
    first, second, *others = column_definitions(table, view)
    assert (first["headerName"], first["filter"]) == ("rate_hz (Hz)", "agNumberColumnFilter")
    assert (second["initialSort"], second["initialSortIndex"]) == ("desc", 0)
    assert all(one["hide"] for one in others)
    assert len(others) == len(table.columns) - 2


def test_a_row_is_found_by_its_name(table):
    assert row_named(table, result_id(7)[:20])["session"] == "session 7"
    assert row_named(table, "' or 1=1") is None


AXES = View(x="outputs.rate_hz", y="outputs.n_units", selection={"rows": ["a"]})


@pytest.mark.parametrize(
    ("what", "value", "field", "now"),
    [
        ("grid", {"sortModel": [{"colId": "subject", "sort": "desc"}], "filterModel": {}}, "sort", ("-subject",)),
        ("grid", "nonsense", "sort", ()),
        ("grid", {"sortModel": [7], "filterModel": None}, "filters", {}),
        ("columns", ["subject"], "columns", ("subject",)),
        ("columns", None, "columns", ()),
        ("q", None, "q", ""),
        ("x", "outputs.n_units", "x", "outputs.n_units"),
        ("log", ["y"], "log_y", True),
        ("facet", "subject", "facet", "subject"),
        ("values", ["a"], "values", ("a",)),
        ("clear", 1, "selection", {}),
        ("show", "r", "show", "r"),
        ("hide", 1, "show", ""),
        ("row", [{ROW: "r"}], "show", "r"),
        ("row", [], "show", ""),
        ("compare", "r", "compare", ("r",)),
        ("picked", {"range": {"x": [1, 2], "y": [3, 4]}}, "selection", {"box": {"x": [1.0, 2.0], "y": [3.0, 4.0]}}),
        ("picked", {"cleared": True}, "selection", {"rows": ["a"]}),
        ("picked", {"range": {"x": ["<b>", 2], "y": [3, 4]}}, "selection", {"rows": ["a"]}),
        ("picked", None, "selection", {"rows": ["a"]}),
        ("clicked", {"point": -1}, "selection", {"rows": ["a"]}),
        ("clicked", {"bar": [1, 2]}, "selection", {"box": {"x": [1.0, 2.0]}}),
        ("clicked", {"point": "x"}, "selection", {"rows": ["a"]}),
        ("no such control", 1, "q", ""),
    ],
)
def test_what_a_person_does_changes_what_is_seen(table, what, value, field, now):
    assert getattr(changed(table, AXES, what, value), field) == now


def test_clicks_on_points_add_up_and_the_last_two_are_compared(table):
    view = View(x="outputs.rate_hz", y="outputs.n_units")
    for number in (3, 5):
        view = changed(table, view, "clicked", {"point": table.frame[POINT][number]})
    assert view.selection == {"rows": [result_id(3)[:20], result_id(5)[:20]]}
    for row in "abcb":
        view = changed(table, view, "compare", row)
    assert view.compare == ("c", "b")
    assert changed(table, view, "uncompare", "c").compare == ("b",)


def test_other_axes_forget_a_box_and_keep_single_points(table):
    boxed = View(x="outputs.rate_hz", y="outputs.n_units", selection={"box": {"x": [1.0, 2.0], "y": [1.0, 2.0]}})
    assert changed(table, boxed, "y", "duration_s").selection == {}
    assert changed(table, boxed, "picked", {"cleared": True}).selection == {}
    assert changed(table, boxed, "colour", "subject").selection == boxed.selection
    assert changed(table, AXES, "y", "duration_s").selection == AXES.selection


def test_times_that_are_picked_become_numbers(table):
    view = View(x="started", y="outputs.n_units")
    found = changed(table, view, "picked", {"range": {"x": ["2026-01-01 01:00", "2026-01-01 08:00:00.5"], "y": [0, 1]}})
    assert found.selection["box"]["x"] == [1767229200000.0, 1767254400500.0]
    assert (
        found.selection
        == changed(table, view, "picked", {"range": {"x": [1767229200000, 1767254400500], "y": [0, 1]}}).selection
    )


def test_a_point_has_a_number_that_a_browser_can_hold(table):
    numbers = table.frame[POINT].to_numpy()
    assert len(np.unique(numbers)) == 40
    assert numbers.max() < 2**53
    assert table.frame.schema[POINT] == pl.Float64
