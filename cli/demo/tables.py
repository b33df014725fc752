"""The output of the demo: a table of results for each analysis, the reasons of failures, and the paths of figures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from domain.job.state import JobState, LedgerEntry
from domain.result.provenance import Provenance
from domain.result.records import from_record
from operations.platform import Platform
from resources.result_store.catalog_files import REPORT

Cell = Callable[[dict[str, Any]], str]

_PARAMETERS: dict[str, tuple[str, ...]] = {"unit_quality": ("method",), "foraging_choice_model": ()}
_OUTPUTS: dict[str, dict[str, Cell]] = {
    "unit_quality": {
        "units": lambda outputs: str(outputs["n_units"]),
        "passing": lambda outputs: str(outputs["n_passing"]),
    },
    "foraging_choice_model": {
        "trials": lambda outputs: str(outputs["n_used"]),
        "accuracy": lambda outputs: _share(outputs["accuracy"]),
        "baseline": lambda outputs: _share(outputs["baseline_accuracy"]),
    },
}
"""The parameters that distinguish the demo's jobs, and the shown outputs by heading."""


def show_results(platform: Platform, analysis: str, jobs: Sequence[LedgerEntry], console: Console) -> None:
    """Show the results of one analysis.

    Parameters
    ----------
    platform : Platform
        Its record store has the results.
    analysis : str
        Name of an analysis of the demo.
    jobs : sequence of LedgerEntry
        Its jobs, all in a final state.
    console : Console
        Prints the table; narrow consoles cut session names first.
    """
    records = platform.connections.record_store.get_many([job.result_id for job in jobs if job.result_id])
    done = {job.job_key: from_record(records[job.result_id]) for job in jobs if job.result_id in records}
    width = max([len(found.outputs["outcome"]) for found in done.values()], default=0)
    outcome = Column("outcome", min_width=width)  # a narrow console cuts the names of sessions first
    cells = _OUTPUTS[analysis]
    table = Table("session", *_PARAMETERS[analysis], outcome, *cells, "seconds", title=analysis)
    figures = []
    for job in jobs:
        parameters = [str(job.parameters[name]) for name in _PARAMETERS[analysis]]
        found = done.get(job.job_key)
        if job.state is not JobState.DONE or found is None:
            reason = job.error.message if job.error else "no result"
            table.add_row(escape(job.inputs.spelled_locations[0]), *parameters, escape(f"failed: {reason}"))
            continue
        session = escape(", ".join(found.session_names))
        shown = [cell(found.outputs) for cell in cells.values()]
        table.add_row(session, *parameters, found.outputs["outcome"], *shown, f"{found.duration_s:.2f}")
        figures.append((session, _figure_path(platform, found)))
    console.print(table)
    for session, path in figures:
        console.print(f"{session}: {escape(str(path))}", soft_wrap=True, highlight=False)


def show_report(platform: Platform, analysis: str, console: Console) -> None:
    """Update results table and report of an analysis, as the sensor would later, and print the path of the report.

    Parameters
    ----------
    platform : Platform
        Its connections read results and write the report.
    analysis : str
        Name of an analysis of the demo.
    console : Console
        Prints the table; narrow consoles cut session names first.
    """
    from resources.result_store.catalog_tables import read_catalog, write_catalog
    from results_table.report import make_report
    from results_table.update import update_table

    entry, c = platform.entry(analysis), platform.connections
    stored = read_catalog(c.catalog_files, analysis)
    table = None if stored is None else stored.table
    made = update_table(entry, table, records=c.record_store, ledger=c.ledger, results=c.results_store).table
    write_catalog(c.catalog_files, analysis, made)
    html = make_report(entry, made, ui_url=platform.settings.dagster_ui_url).html
    c.catalog_files.put(analysis, REPORT, html.encode(), content_type="text/html; charset=utf-8")
    path = _served(platform) / c.catalog_files.address(analysis, REPORT).removeprefix("s3://")
    console.print(f"Report of {analysis}: {escape(str(path))}", soft_wrap=True, highlight=False)


def _share(value: float | None) -> str:
    """Return a fraction as text; a dash if it is unknown."""
    return "-" if value is None else f"{value:.3f}"


def _figure_path(platform: Platform, found: Provenance) -> Path:
    """Return the path of a result's figure in the folder of the embedded server."""
    return _served(platform) / found.location.removeprefix("s3://") / (found.figure or "")


def _served(platform: Platform) -> Path:
    return platform.settings.analysis_home / "s3"
