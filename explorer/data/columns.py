"""The columns of a table of results: types and titles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from domain.analysis.fields import FieldFacts, describe_fields
from domain.result.search_entries import OUTPUTS, PARAMETERS
from engine.discovery.analyses import AnalysisEntry

Kind = Literal["text", "number", "time"]

ROW, POINT = "_row", "_point"
"""Columns that only the explorer has: the short name of a row in URLs, and its number in plots."""

ANALYSIS = "analysis"
SEARCHED = ("subject", "session", "tag")
FIRST_SHOWN = ("state", "subject", "session", "ended", "duration_s")
"""Columns that are shown by default, followed by those of the analysis."""

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
    """A column of a table.

    Attributes
    ----------
    name : str
        Name in the table.
    kind : str
        Type of its values: ``text``, ``number`` or ``time``.
    title : str
        Title with unit, for headings and axes.
    meaning : str
        Description; may be empty.
    """

    name: str
    kind: Kind
    title: str
    meaning: str

    @property
    def long_title(self) -> str:
        """The title after the word parameter or output, for lists with both."""
        kind = self.name.partition(".")[0]
        return f"{kind.removesuffix('s')} {self.title}" if kind in {PARAMETERS, OUTPUTS} else self.title


def columns_of(frame: pl.DataFrame, entry: AnalysisEntry | None) -> dict[str, Column]:
    """Return descriptions of the columns of a table.

    Parameters
    ----------
    frame : polars.DataFrame
        Table whose column types are used.
    entry : AnalysisEntry or None
        Its models give units and descriptions; None for all analyses, or if its file cannot be loaded.

    Returns
    -------
    dict
        Columns by name, in the table's order, without those that only the explorer has.
    """
    facts = _facts_of(entry)
    return {name: _column(name, frame.schema[name], facts) for name in frame.columns if name not in {ROW, POINT}}


def shown_first(columns: Mapping[str, Column], *, most: int = 14) -> tuple[str, ...]:
    """Return the columns that are shown by default; a table of one analysis does not repeat its name."""
    facts = [name for name in FIRST_SHOWN if name in columns]
    own = [name for name in _sorted_by_kind(columns) if name.startswith((f"{PARAMETERS}.", f"{OUTPUTS}."))]
    return tuple((facts + own if own else [ANALYSIS, *facts, "tag", "code_version", "failure"])[:most])


def _sorted_by_kind(columns: Iterable[str]) -> list[str]:
    """Return names with outputs first, because they are the most important."""
    return sorted(columns, key=lambda name: not name.startswith(f"{OUTPUTS}."))


def _facts_of(entry: AnalysisEntry | None) -> dict[str, FieldFacts]:
    """Return the descriptions of an analysis's fields, by column name."""
    if entry is None:
        return {}
    models = {PARAMETERS: entry.analysis.parameters, OUTPUTS: entry.analysis.outputs}
    return {f"{kind}.{fact.name}": fact for kind, model in models.items() for fact in describe_fields(model)}


def _column(name: str, dtype: pl.DataType, facts: Mapping[str, FieldFacts]) -> Column:
    kind: Kind = "time" if dtype == pl.Datetime else "number" if dtype.is_numeric() else "text"
    if name in _FACTS:
        return Column(name, kind, *_FACTS[name])
    plain = name.partition(".")[2] or name
    fact = facts.get(name)
    if fact is None:
        return Column(name, kind, plain, "")
    unit = f" ({fact.unit})" if fact.unit and fact.unit != "no unit" else ""
    return Column(name, kind, f"{plain}{unit}", fact.meaning)
