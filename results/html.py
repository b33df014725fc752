"""Renders results as HTML for Jupyter: short tables with escaped texts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from domain.result.search_entries import OUTPUTS, PARAMETERS

Row = Mapping[str, Any]

_LEFT = 'style="text-align: left; vertical-align: top"'
_LINE = 'style="text-align: left; vertical-align: top; white-space: nowrap"'
_MOST_OUTPUTS = 5
_LONGEST = 160


def html_table(rows: Sequence[Row]) -> str:
    """Return rows as a table: subject and session, the parameters that differ, and the first outputs."""
    differing = _differing(rows)
    names = ("state", "subject", "session", "ended (UTC)", "parameters that differ", "outputs or failure", "id")
    head = "".join(f"<th {_LEFT}>{name}</th>" for name in names)
    return f"<table><tr>{head}</tr>{''.join(_table_row(row, differing) for row in rows)}</table>"


def html_facts(facts: Mapping[str, object], links: Mapping[str, str]) -> str:
    """Return names with values, and links, as a table."""
    rows = [f"<tr><th {_LEFT}>{escape(k)}</th><td {_LEFT}>{escape(short(v))}</td></tr>" for k, v in facts.items()]
    opened = [f'<a href="{escape(url)}">{escape(k)}</a>' for k, url in links.items() if url.startswith("http")]
    return f"<table>{''.join(rows)}<tr><th {_LEFT}>links</th><td {_LEFT}>{' · '.join(opened)}</td></tr></table>"


def short(value: object) -> str:
    """Return a value as a short text: times in seconds, numbers with four digits, long texts cut."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = f"{value:.4g}" if isinstance(value, float) else str("" if value is None else value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _table_row(row: Row, differing: Sequence[str]) -> str:
    outputs = [name for name in row if name.startswith(f"{OUTPUTS}.")][:_MOST_OUTPUTS]
    lines = [short(row[name]) for name in ("state", "subject", "session", "ended")]
    texts = [_named(row, differing), _named(row, outputs) or short(row["failure"])]
    identity = short(row["result_id"] or row["job_key"])[:12]
    cells = [*((line, _LINE) for line in lines), *((text, _LEFT) for text in texts), (identity, _LINE)]
    return f"<tr>{''.join(f'<td {style}>{escape(text)}</td>' for text, style in cells)}</tr>"


def _named(row: Row, names: Sequence[str]) -> str:
    """Return values by name without the prefix."""
    return short(", ".join(f"{name.partition('.')[2]}={short(row[name])}" for name in names if name in row))


def _differing(rows: Sequence[Row]) -> list[str]:
    """Return the parameters that differ between rows; all parameters of a single row."""
    names = dict.fromkeys(name for row in rows for name in row if name.startswith(f"{PARAMETERS}."))
    return [name for name in names if len(rows) == 1 or len({repr(row.get(name)) for row in rows}) > 1]
