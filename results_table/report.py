"""The report of an analysis: one HTML page with embedded figures and without scripts.

Whatever comes from job files, results or errors is text: the template escapes it.
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined

from domain.result.rows import DONE, FAILED, OUTDATED
from engine.assets.materialization import asset_key_of
from engine.discovery.analyses import AnalysisEntry
from resources.result_store.catalog_tables import catalog_facts
from results_table.figures import MOST_PANELS, draw_comparison, draw_distributions, draw_outcomes, draw_throughput
from results_table.pairs import Comparison, compare
from results_table.results_frame import ResultsFrame, frame_of, quartiles

_LISTED_FAILURES, _LONGEST = 20, 300


@dataclass(frozen=True)
class AnalysisReport:
    """The page of a report, and its parts.

    Attributes
    ----------
    html : str
        The whole page; figures are embedded.
    figures : dict of bytes
        PNG images by their headings.
    counts : dict of int
        Number of rows of the table by state.
    failures : list of dict
        Kinds of failures, the most frequent first.
    """

    html: str
    figures: dict[str, bytes]
    counts: dict[str, int]
    failures: list[dict[str, Any]]


def make_report(entry: AnalysisEntry, table: pa.Table, *, ui_url: str) -> AnalysisReport:
    """Return the report of an analysis, from its results table.

    Parameters
    ----------
    entry : AnalysisEntry
        Its models give titles, units and descriptions.
    table : pyarrow.Table
        Its results table; may be empty.
    ui_url : str
        URL of Dagster's UI, for links.
    """
    frame, facts = frame_of(entry, table), catalog_facts(table)
    comparison = compare(frame)
    figures = _figures(frame, comparison)
    counts = {state: frame.every.filter(pl.col("state") == state).height for state in (DONE, OUTDATED, FAILED)}
    failures = _failures(frame.failures)
    html = (
        _environment()
        .get_template("report.html")
        .render(
            name=entry.analysis.name,
            counts=counts,
            rows=frame.every.height,
            updated=_time(facts.get("updated")),
            code_version=facts.get("code_version", entry.code_version),
            current=frame.are_current,
            results=frame.results.height,
            outcomes=frame.outcomes(),
            numbers=_summaries(frame),
            undrawn=max(0, len(frame.numbers) - MOST_PANELS),
            comparison=comparison,
            failures=failures,
            failure_kinds=_kinds(frame.failures),
            figures={heading: base64.b64encode(png).decode() for heading, png in figures.items()},
            ui_url=ui_url.rstrip("/"),
            asset="/".join(asset_key_of(entry.analysis.name).path),
        )
    )
    return AnalysisReport(html, figures, counts, failures)


def _environment() -> Environment:
    """Return the template environment: it escapes all values, and a missing name is an error."""
    return Environment(
        loader=PackageLoader("results_table"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _figures(frame: ResultsFrame, comparison: Comparison) -> dict[str, bytes]:
    """Return the figures that have data, by heading."""
    found = {}
    if frame.every.height:
        found["outcomes"] = draw_outcomes(frame)
    if frame.numbers and frame.results.height:
        found["distributions"] = draw_distributions(frame)
    if comparison.differences:
        found["comparison"] = draw_comparison(frame, comparison)
    if frame.every["ended"].count():
        found["throughput"] = draw_throughput(frame)
    return found


def _summaries(frame: ResultsFrame) -> list[dict[str, Any]]:
    """Return count, quartiles, minimum and maximum of each numeric output."""
    rows = []
    for column in frame.numbers:
        values = frame.results[column.name].drop_nulls()
        found = quartiles(values)
        numbers: tuple[Any, ...] = (values.min(), *found, values.max()) if found else ()
        rows.append({"column": column, "n": len(values), "numbers": [f"{number:.4g}" for number in numbers]})
    return rows


def _kinds(failures: pl.DataFrame) -> list[tuple[str, int]]:
    counted = failures["failure_kind"].fill_null("unknown").value_counts().rows()
    return sorted(counted, key=lambda pair: (-pair[1], pair[0]))


def _failures(failures: pl.DataFrame) -> list[dict[str, Any]]:
    """Group failures by kind and message, each with its newest example; the rows are sorted, newest first."""
    grouped = (
        failures.with_columns(pl.col("failure_kind").fill_null("unknown"), pl.col("failure").fill_null(""))
        .group_by("failure_kind", "failure", maintain_order=True)
        .agg(pl.len().alias("count"), pl.col("job_key").first(), pl.col("ended").first(), pl.col("run_id").first())
        .sort("count", descending=True, maintain_order=True)
    )
    return [
        row | {"failure": _cut(row["failure"]), "ended": _time(row["ended"])}
        for row in grouped.head(_LISTED_FAILURES).iter_rows(named=True)
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _time(value: datetime | str | None) -> str:
    if value is None:
        return "not known"
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{time:%Y-%m-%d %H:%M} UTC"
