"""The report is right and whole, whatever the catalog holds."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest

from domain.result.rows import FACTS
from results_table.columns import columns_of
from results_table.figures import draw_distributions
from results_table.pairs import MOST_SETS, compare
from results_table.report import make_report
from results_table.results_frame import frame_of
from results_table.table import ordered, table_of
from tests.provenances import STARTED

UI = "http://127.0.0.1:3000"


def row(number, *, state="done", inputs="s1", rate=None, count=1, outcome="good", **more):
    """Make a row of a catalog."""
    found = dict.fromkeys(FACTS) | {
        "result_id": f"{number}",
        "job_key": hashlib.sha256(str(number).encode()).hexdigest(),
        "state": state,
        "inputs": [f"s3://b/{inputs}"],
        "ended": STARTED + timedelta(hours=number),
        "duration_s": 1.0 + number % 3,
        "parameters.method": "a",
        "parameters.bin_s": 0.5,
        "outputs.rate_hz": rate,
        "outputs.count": count,
        "outputs.outcome": outcome,
    }
    return found | {name.replace("__", "."): value for name, value in more.items()}


@pytest.fixture
def table(harness):
    """Give the function that makes a catalog of rows."""
    return lambda rows: ordered(table_of(rows, columns_of(harness.entry.analysis)))


@pytest.fixture
def frame(harness, table):
    """Give the function that makes what a report reads."""
    return lambda rows: frame_of(harness.entry, table(rows))


@pytest.fixture
def report(harness, table):
    """Give the function that makes a report."""
    return lambda rows: make_report(harness.entry, table(rows), ui_url=UI)


def test_pairs_have_the_same_inputs_and_other_parameters(frame):
    rows = [row(n, inputs=f"s{n}", rate=float(n)) for n in range(6)]
    rows += [row(10 + n, inputs=f"s{n}", rate=n + 2.0 + n % 2, parameters__method="b") for n in range(1, 5)]
    rows += [row(20, inputs="elsewhere", rate=1.0, parameters__method="b")]
    found = compare(frame(rows))
    assert [(s.letter, s.words, s.results.height) for s in found.sets] == [
        ("A", "method = a", 6),
        ("B", "method = b", 5),
    ]
    (rate,) = [d for d in found.differences if d.output.name == "outputs.rate_hz"]
    assert (rate.letter, rate.n) == ("B", 4)
    assert (rate.low, rate.middle, rate.high) == (2.0, 2.5, 3.0)
    assert (rate.larger, rate.smaller, rate.same) == (4, 0, 0)
    (count,) = [d for d in found.differences if d.output.name == "outputs.count"]
    assert (count.n, count.same) == (4, 4)


def test_a_pair_without_a_number_is_none(frame):
    rows = [row(1, rate=1.0), row(2, rate=None, parameters__method="b")]
    found = compare(frame(rows))
    assert {d.output.name for d in found.differences} == {"outputs.count"}


def test_a_parameter_that_is_null_is_a_value_like_any_other(frame):
    rows = [row(n, inputs=f"s{n % 3}", rate=1.0, parameters__limit=None if n < 3 else 5) for n in range(6)]
    found = compare(frame(rows))
    assert sorted((s.words, s.results.height) for s in found.sets) == [
        ("limit (count) = 5", 3),
        ("limit (count) = null", 3),
    ]


def test_the_most_common_sets_are_compared_and_the_others_counted(report, frame):
    rows = [
        row(100 * k + n, inputs=f"s{n}", rate=1.0, parameters__bin_s=float(k)) for k in range(12) for n in range(12 - k)
    ]
    found = compare(frame(rows))
    assert [s.results.height for s in found.sets] == list(range(12, 4, -1))
    assert (len(found.sets), found.left_out) == (MOST_SETS, 4)
    page = report(rows).html
    assert "4 further sets are left out" in page
    assert "bin_s (s) = 3.0" in page


def test_with_one_set_there_is_nothing_to_compare(report):
    made = report([row(n, inputs=f"s{n}", rate=1.0) for n in range(3)])
    assert "All results have the same parameters" in made.html
    assert "comparison" not in made.figures


def test_results_of_the_current_code_alone_are_summed_up(frame, report):
    rows = [row(1, rate=1.0), row(1, state="outdated", rate=99.0, result_id="old")]
    assert frame(rows).results["outputs.rate_hz"].to_list() == [1.0]
    made = report(rows)
    assert made.counts == {"done": 1, "outdated": 1, "failed": 0}


def test_without_any_of_the_current_code_the_latest_of_each_job_is(frame, report):
    later = STARTED + timedelta(days=9)
    rows = [row(1, state="outdated", rate=1.0), row(1, state="outdated", rate=2.0, ended=later, result_id="later")]
    assert frame(rows).results["outputs.rate_hz"].to_list() == [2.0]
    assert "There is no result of the current code" in report(rows).html


def failure(number, message, kind="exception"):
    return row(number, state="failed", outcome=None, count=None, failure=message, failure_kind=kind, result_id=None)


def test_failures_are_gathered_with_their_newest_example(report):
    made = report([failure(n, "no spikes") for n in range(3)] + [failure(9, "no file", "input")])
    found = [(f["count"], f["failure_kind"], f["failure"]) for f in made.failures]
    assert found == [(3, "exception", "no spikes"), (1, "input", "no file")]
    newest = hashlib.sha256(b"2").hexdigest()
    assert made.failures[0]["job_key"] == newest
    assert f"{UI}/assets/analysis/rich?view=partitions&amp;partition={newest}" in made.html
    assert "analysis explain rich" in made.html


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(1)],
        [row(1, rate=1.0)],
        [row(1, ended=datetime(9999, 12, 31, 23, tzinfo=UTC)), row(2, ended=datetime(1, 1, 1, tzinfo=UTC)), row(3)],
        [row(n, count=None, outcome=None) for n in range(3)],
        [failure(1, "no")],
        [failure(1, "no") | {"ended": None, "failure": None, "failure_kind": None}],
        [row(n, rate=1e300 * (-1) ** n, count=2**53) for n in range(4)],
        [row(n, rate=1.7e308 * (-1) ** n, count=-n, parameters__method="ab"[n % 2]) for n in range(4)],
        [row(n, rate=1.0, parameters__bin_s=float(n), inputs=f"s{n}") for n in range(3)],
    ],
)
def test_there_is_a_report_of_anything(report, rows):
    page = report(rows).html
    for heading in ("Outcomes", "Distributions", "Parameter sets compared", "Failures", "Results over time"):
        assert f"<h2>{heading}" in page
    assert page.rstrip().endswith("</html>")


def test_text_from_outside_stays_text(report):
    evil = "<script>alert('$x$ {{ 7*7 }}')</script><img src=x onerror=alert(1)>"
    rows = [row(n, rate=1.0, outcome=evil, parameters__method=f"{evil}{n}") for n in range(3)] + [
        failure(9, evil, evil)
    ]
    page = report(rows).html
    assert evil not in page
    assert "<script" not in page
    assert "{{ 7*7 }}" in page
    assert {src.partition(":")[0] for src in re.findall(r'src="([^"]*)', page)} == {"data"}
    assert len(re.findall(r"<img ", page)) == page.count("data:image/png;base64,")


def test_the_same_catalog_gives_the_same_figures(frame):
    rows = [row(n, rate=float(n)) for n in range(5)]
    assert draw_distributions(frame(rows)) == draw_distributions(frame(rows))
