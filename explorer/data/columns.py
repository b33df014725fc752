"""The columns of a table of results: what each holds, and what it is called on the page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from domain.analysis.fields import FieldFacts, describe_fields
from domain.result.search_entries import OUTPUTS, PARAMETERS
from engine.discovery.analyses import AnalysisEntry

Kind = Literal["text", "number", "time"]

ROW, POINT = "_row", "_point"
"""Columns that only the explorer has: the short name of a row in addresses, and the same as a number in plots."""

ANALYSIS = "analysis"
SEARCHED = ("subject", "session", "tag")
FIRST_SHOWN = ("state", "subject", "session", "ended", "duration_s")
"""Columns that are shown first, followed by what sets the analysis apart."""

_FACTS = {
    ANALYSIS: ("analysis", "Name of the analysis."),
    "result_id": ("result id", "Digest of analysis, code and job."),
    "job_key": ("job key", "Digest of inputs and parameters; the partition key."),
    "state": ("state", "done, outdated (the code has changed since) or failed."),
    "subject": ("subject", "Subjects of the inputs."),
    "session": ("session", "Sessions of the inputs."),
    "inputs": ("inputs", "Data assets and files."),
    "tag": ("analysis tag", "The parameter analysis_tag."),
    "group": ("group", "Fields that a grouped job was grouped by."),
    "dispatch_id": ("dispatch id", "Dispatch that wrote the job file."),
    "code_version": ("code version", "Declared version and source digest."),
    "started": ("started (UTC)", "When the analysis's code started."),
    "ended": ("ended (UTC)", "When the analysis's code ended."),
    "duration_s": ("duration (s)", "Seconds between start and end."),
    "peak_memory_bytes": ("peak memory (bytes)", "Largest resident memory of the job."),
    "run_id": ("run id", "Dagster run that executed the job."),
    "attempt": ("attempt", "Execution that made this result."),
    "location": ("location", "Folder of the result's files."),
    "figure": ("figure", "File that is shown as the figure."),
    "failure_kind": ("failure", "How the job failed."),
    "failure": ("failure message", "Error message of the failed job."),
}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
        As in the table.
    kind : str
        How its values are compared.
    title : str
        What it is called, with its unit.
    meaning : str
        One sentence; may be empty.
    """

    name: str
    kind: Kind
    title: str
    meaning: str

    @property
    def long_title(self) -> str:
        """The title, with the word parameter or output before it: for lists that mix them."""
        kind = self.name.partition(".")[0]
        return f"{kind.removesuffix('s')} {self.title}" if kind in {PARAMETERS, OUTPUTS} else self.title


def columns_of(frame: pl.DataFrame, entry: AnalysisEntry | None) -> dict[str, Column]:
    """Describe the columns of a table.

    Parameters
    ----------
    frame : polars.DataFrame
        The table.
    entry : AnalysisEntry or None
        The analysis, whose models give units and meanings; None where there are several, or its file cannot be loaded.

    Returns
    -------
    dict
        By name, in the table's order, without those that are only the explorer's.
    """
    facts = _facts_of(entry)
    return {name: _column(name, frame.schema[name], facts) for name in frame.columns if name not in {ROW, POINT}}


def shown_first(columns: Mapping[str, Column], *, most: int = 14) -> tuple[str, ...]:
    """Choose the columns that are shown to somebody who chose none; a table of one analysis need not repeat its name."""
    facts = [name for name in FIRST_SHOWN if name in columns]
    own = [name for name in _sorted_by_kind(columns) if name.startswith((f"{PARAMETERS}.", f"{OUTPUTS}."))]
    return tuple((facts + own if own else [ANALYSIS, *facts, "tag", "code_version", "failure"])[:most])


def _sorted_by_kind(columns: Iterable[str]) -> list[str]:
    """Return names with outputs first: they are what people look for."""
    return sorted(columns, key=lambda name: not name.startswith(f"{OUTPUTS}."))


def _facts_of(entry: AnalysisEntry | None) -> dict[str, FieldFacts]:
    """Return what an analysis says of its fields, by the names of their columns."""
    if entry is None:
        return {}
    models = {PARAMETERS: entry.analysis.parameters, OUTPUTS: entry.analysis.outputs}
    return {f"{kind}.{fact.name}": fact for kind, model in models.items() for fact in describe_fields(model)}


def _column(name: str, dtype: pl.DataType, facts: Mapping[str, FieldFacts]) -> Column:
    """Describe one column."""
    kind: Kind = "time" if dtype == pl.Datetime else "number" if dtype.is_numeric() else "text"
    if name in _FACTS:
        return Column(name, kind, *_FACTS[name])
    plain = name.partition(".")[2] or name
    fact = facts.get(name)
    if fact is None:
        return Column(name, kind, plain, "")
    unit = f" ({fact.unit})" if fact.unit and fact.unit != "no unit" else ""
    return Column(name, kind, f"{plain}{unit}", fact.meaning)
