"""Plots: what is drawn, what is left out, and what is said of both."""

import base64

import numpy as np
import pytest

from explorer.data.analysis_data import Table, columns_of
from explorer.data.frames import from_arrow
from explorer.state import View
from explorer.views.plots import MOST_DRAWN, draw
from explorer.views.table import matching
from tests.explorer.harness import ENTRY, NAME, catalog_of, many, provenance


def table_of(arrow):
    """Make a table."""
    frame = from_arrow(arrow, NAME)
    return Table(NAME, frame, columns_of(frame, ENTRY))


@pytest.fixture(scope="module")
def table():
    """Make forty results."""
    return table_of(catalog_of([provenance(n) for n in range(40)]))


def drawn(table, **view):
    """Draw a view; gives data, layout and note."""
    found = draw(table, matching(table, View(**view)), View(**view))
    return found.figure["data"], found.figure["layout"], found.note


def unpacked(values):
    """Read numbers as a browser does."""
    return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])


def test_points_are_colored_by_texts(table):
    data, layout, note = drawn(table, x="outputs.rate_hz", y="outputs.n_units", colour="parameters.method")
    assert [trace["name"] for trace in data] == ["a", "b"]
    assert unpacked(data[0]["x"]).tolist() == [1.0 + n / 10 for n in range(0, 40, 2)]
    assert layout["xaxis"]["title"]["text"] == "output rate_hz (Hz)"
    assert note == "40 results drawn."


def test_points_are_colored_by_numbers_and_times(table):
    data, _, _ = drawn(table, x="outputs.rate_hz", y="outputs.n_units", colour="duration_s")
    assert data[0]["marker"]["colorbar"]["title"]["text"] == "duration (s)"
    data, _, _ = drawn(table, x="outputs.rate_hz", y="outputs.n_units", colour="started")
    assert data[0]["marker"]["colorbar"]["ticktext"][0] == "2026-01-01 00:00"


def test_times_and_texts_are_axes_too(table):
    data, layout, _ = drawn(table, x="started", y="subject")
    assert layout["xaxis"]["type"] == "date"
    assert data[0]["x"][1] == "2026-01-01T01:00:00.000"
    assert layout["yaxis"]["ticktext"] == [f"subject{n}" for n in range(5)]
    assert np.abs(unpacked(data[0]["y"]) - np.arange(40) % 5).max() <= 0.25
    assert data[0]["text"][3] == "subject3"


def test_what_cannot_be_drawn_is_counted():
    found = [provenance(n, outputs={"rate_hz": rate}) for n, rate in enumerate([-1.0, 0.0, None, 2.0])]
    table = table_of(catalog_of(found))
    _, _, note = drawn(table, x="outputs.rate_hz", y="duration_s")
    assert note == "3 results drawn. 1 have no value on an axis and are left out."
    _, layout, note = drawn(table, x="outputs.rate_hz", y="duration_s", log_x=True)
    assert layout["xaxis"]["type"] == "log"
    assert note.startswith("1 results drawn. 3 have no value")


def test_a_histogram_counts_everything(table):
    for name in ("outputs.rate_hz", "started", "subject"):
        data, _, _ = drawn(table, x=name, colour="parameters.method")
        assert sum(sum(trace["y"]) for trace in data) == 40
    data, _, note = drawn(table, x="outputs.rate_hz", log_x=True, colour="duration_s")
    assert sum(data[0]["y"]) == 40
    assert "Only texts color" in note


def test_a_histogram_of_one_value_or_none_is_drawn(table):
    data, _, _ = drawn(table, x="outputs.rate_hz", q="session 17")
    assert data[0]["y"] == [1]
    data, _, note = drawn(table, x="outputs.rate_hz", q="no such thing")
    assert data[0]["y"] == []
    assert note == "0 results drawn."


def test_rare_texts_share_a_color(table):
    data, _, note = drawn(table, x="outputs.rate_hz", y="outputs.n_units", colour="session")
    assert len(data) == 10
    assert data[-1]["name"] == "all others"
    assert "40 values" in note


def test_names_are_not_markup():
    table = table_of(catalog_of([provenance(0, session_names=("<b>%{x}</b>",))]))
    data, layout, _ = drawn(table, x="session", y="outputs.rate_hz", colour="session")
    assert data[0]["name"] == "&lt;b>% {x}&lt;/b>"
    assert layout["xaxis"]["ticktext"] == ["&lt;b>% {x}&lt;/b>"]
    assert "<b" not in data[0]["text"][0]


def test_what_is_selected_is_drawn_again(table):
    box = {"box": {"x": [1.0, 2.0], "y": [1767225600000.0, 1767229200000.0]}}
    _, layout, _ = drawn(table, x="outputs.rate_hz", y="started", selection=box)
    (shape,) = layout["selections"]
    assert (shape["x0"], shape["y1"]) == (1.0, "2026-01-01 01:00:00.000")
    lasso = {"lasso": {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 1.0]}}
    _, layout, _ = drawn(table, x="outputs.rate_hz", y="outputs.n_units", selection=lasso)
    assert layout["selections"][0]["path"] == "M1.0,1.0L2.0,2.0L3.0,1.0Z"
    _, layout, _ = drawn(table, x="outputs.rate_hz", selection={"box": {"x": [1.0, 2.0]}})
    assert "selections" not in layout


def test_without_an_axis_the_page_says_what_to_do(table):
    data, _, note = drawn(table)
    assert data == []
    assert note == "Choose what to draw."


def test_of_too_many_points_some_are_drawn_and_the_page_says_so():
    table = table_of(many(MOST_DRAWN + 500))
    data, _, note = drawn(table, x="duration_s", y="outputs.rate_hz")
    assert len(unpacked(data[0]["x"])) == MOST_DRAWN
    assert note.startswith("100,000 of 100,500 results drawn, chosen at random")
    assert data[0]["type"] == "scattergl"
