"""The materialization metadata of results tables and reports."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from engine.assets.thumbnail import thumbnail
from resources.result_store.catalog_tables import catalog_facts
from results_table.columns import OTHER_VALUES
from results_table.report import AnalysisReport
from results_table.update import TableUpdate

_PREVIEW = 10
_SHOWN = ("state", "subject", "session", "ended", "failure", "job_key")
_LONGEST = {"failure": 80, "job_key": 12}


def table_metadata(update: TableUpdate, *, address: str, link: str) -> Mapping[str, Any]:
    """Return the metadata of a results table, the most important first.

    Parameters
    ----------
    update : TableUpdate
        The updated table, and what the update has read.
    address, link : str
        URI in S3, and URL for a browser.
    """
    facts = catalog_facts(update.table)
    named: dict[str, Any] = {}
    if facts["unreadable"]:
        named["unreadable"] = dg.MetadataValue.md("  \n".join(f"`{name}`" for name in update.unreadable))
    return {
        "table": dg.MetadataValue.url(link),
        "table location": dg.MetadataValue.path(address),
        "dagster/row_count": dg.MetadataValue.int(facts["rows"]),
        **{state: dg.MetadataValue.int(facts[state]) for state in ("done", "outdated", "failed")},
        "newest": _preview(update),
        "records left out (unreadable)": dg.MetadataValue.int(facts["unreadable"]),
        **named,
        "rows with other values (of an earlier model)": dg.MetadataValue.int(
            len(update.table) - update.table[OTHER_VALUES].null_count
        ),
        "records read": dg.MetadataValue.int(update.read),
        "rows removed (their result is gone)": dg.MetadataValue.int(update.gone),
        "how": dg.MetadataValue.text("rebuilt" if update.was_rebuilt else "brought up to date"),
        "current code": dg.MetadataValue.text(facts["code_version"]),
    }


def report_metadata(report: AnalysisReport, *, address: str, link: str) -> Mapping[str, Any]:
    """Return the metadata of a report, with its figures scaled down for the event log.

    Parameters
    ----------
    report : AnalysisReport
        Its counts, failures and figures are shown.
    address, link : str
        URI in S3, and URL for a browser.
    """
    failures = [
        dg.TableRecord(
            {
                "jobs": f["count"],
                "kind": f["failure_kind"],
                "message": f["failure"],
                "newest": _cell("job_key", f["job_key"]),
            }
        )
        for f in report.failures
    ]
    types = {"jobs": "int", "kind": "string", "message": "string", "newest": "string"}
    columns = [dg.TableColumn(name, kind) for name, kind in types.items()]
    return {
        "report": dg.MetadataValue.url(link),
        "report location": dg.MetadataValue.path(address),
        **{heading: dg.MetadataValue.md(thumbnail(png)) for heading, png in report.figures.items()},
        **{state: dg.MetadataValue.int(count) for state, count in report.counts.items()},
        "failures": dg.MetadataValue.table(failures, schema=dg.TableSchema(columns=columns)),
    }


def _preview(update: TableUpdate) -> dg.TableMetadataValue:
    """Return the newest rows as a Markdown table with the most important columns."""
    rows = update.table.slice(0, _PREVIEW).select(_SHOWN).to_pylist()
    records = [dg.TableRecord({name: _cell(name, value) for name, value in row.items()}) for row in rows]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=[dg.TableColumn(n, "string") for n in _SHOWN]))


def _cell(name: str, value: Any) -> str:
    text = f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value or "")
    return text[: _LONGEST.get(name, len(text))]
