"""Caches the results tables from S3, and reads them again when there is a newer version."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import polars as pl
import pyarrow as pa

from domain.errors import PlatformError
from domain.result.records import readable
from domain.result.rows import FAILED, result_row, state_by_code
from engine.discovery.analyses import AnalysisEntry
from explorer.data.columns import Column, columns_of
from explorer.data.frames import from_arrow, from_rows, shared
from resources.records.reader import RecordReader
from resources.result_store.catalog_age import age_of_table, newer_results
from resources.result_store.catalog_files import CatalogFiles
from resources.result_store.catalog_tables import catalog_facts, read_catalog

CHECKED_S = 5.0
"""Time until a cached table is checked again."""

MOST_RECORDS = 2000
"""Number of newest results that are read from MongoDB if there is no results table."""

_RECORDS_KEPT_S = 30.0
_PRECISION = timedelta(milliseconds=1)
_SILENT_S = 300.0
"""Time for which the age of tables is not read from a MongoDB that did not answer: every page would wait for it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Table:
    """A cached table of results.

    Attributes
    ----------
    analysis : str
        Name of the analysis; empty for all.
    frame : polars.DataFrame
        One row for each result or failed job.
    columns : dict
        Descriptions of the columns, by name.
    note : str
        Message about its source; may be empty.
    etag : str
        ETag of the file in S3; empty if the rows are from MongoDB.
    updated : datetime or None
        When the table was updated, if it says so.
    """

    analysis: str
    frame: pl.DataFrame
    columns: dict[str, Column]
    note: str = ""
    etag: str = ""
    updated: datetime | None = None


@dataclass
class _Kept:
    """A table, and the time of its last check."""

    table: Table
    checked: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class Tables:
    """Thread-safe cache of the tables, which reads as little as possible.

    Parameters
    ----------
    catalogs : CatalogFiles
        Files of the results tables in S3.
    records : RecordReader
        Reader of results if there is no table.
    entries : mapping
        Analyses by name; None for one whose file cannot be loaded.
    clock : callable
        Monotonic clock in seconds.
    """

    def __init__(
        self,
        catalogs: CatalogFiles,
        records: RecordReader,
        entries: Mapping[str, AnalysisEntry | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.entries = dict(entries)
        self._catalogs, self._records, self._clock = catalogs, records, clock
        self._kept: dict[str, _Kept] = {}
        self._silent_until = -math.inf
        self._lock = threading.Lock()

    def table(self, analysis: str) -> Table:
        """Return the table of an analysis, or of all analyses for an empty name.

        Raises
        ------
        KeyError
            If the analysis does not exist.
        """
        if analysis == "":
            return self._all()
        entry = self.entries[analysis]
        with self._lock:
            kept = self._kept.setdefault(analysis, _Kept(_table(analysis, from_rows([], analysis), entry), -1e9))
        with kept.lock:  # one request reads, others wait for it
            waits = CHECKED_S if kept.table.etag or kept.checked < 0 else _RECORDS_KEPT_S
            if self._clock() - kept.checked >= waits:
                kept.table = self._read_again(kept.table, entry)
                kept.checked = self._clock()
            return kept.table

    def _all(self) -> Table:
        """Return the common columns of all analyses as one table."""
        tables = [self.table(name) for name in self.entries]
        frame = pl.concat([shared(one.frame) for one in tables] or [shared(from_rows([], ""))])
        notes = " ".join(dict.fromkeys(one.note for one in tables if one.note))
        return Table("", frame, columns_of(frame, None), notes, "+".join(one.etag for one in tables))

    def _read_again(self, old: Table, entry: AnalysisEntry | None) -> Table:
        """Read a table if there is a newer version; if that fails, keep the old one with a note."""
        try:
            etag = self._catalogs.etag(old.analysis)
            if etag is not None and etag == old.etag:
                return self._with_age(replace(old, note=""))
            found = None if etag is None else read_catalog(self._catalogs, old.analysis)
            if found is None:
                return self._from_records(old.analysis, entry)
            table = _table(old.analysis, from_arrow(found.table, old.analysis), entry)
            return self._with_age(replace(table, etag=found.etag, updated=_updated(found.table)))
        except (PlatformError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            _log.warning("The results table of %s cannot be read: %s", old.analysis, error)
            problem = f"The results table of `{old.analysis}` cannot be read now: {error}"
            return self._instead(old, entry, problem)

    def _with_age(self, table: Table) -> Table:
        """Note that a table is older than the newest results; when MongoDB does not answer, that is not known."""
        if self._clock() < self._silent_until:
            return table
        try:
            newer = newer_results(self._records, table.analysis, _newest(table.frame))
        except PlatformError as error:
            _log.warning("Whether the results table of %s is up to date is not known: %s", table.analysis, error)
            self._silent_until = self._clock() + _SILENT_S
            return table
        return replace(table, note=age_of_table(table.analysis, table.updated, newer))

    def _instead(self, old: Table, entry: AnalysisEntry | None, problem: str) -> Table:
        """Return the last table that was read, otherwise results from MongoDB, otherwise an empty table."""
        if old.frame.height:
            return replace(old, note=f"{problem} What is shown was read before.")
        try:
            found = self._from_records(old.analysis, entry)
        except PlatformError as error:
            return replace(old, note=f"{problem} {error}")
        return replace(found, note=f"{problem} These are the newest results that MongoDB has.")

    def _from_records(self, analysis: str, entry: AnalysisEntry | None) -> Table:
        found = [
            one for record in self._records.newest(analysis, limit=MOST_RECORDS).to_list() if (one := readable(record))
        ]
        code = entry.code_version if entry else ""
        rows = [result_row(one, state=state_by_code(one.code_version, current=code)) for one in found]
        origin = f"the newest {len(rows):,} results" if len(rows) == MOST_RECORDS else "the results that MongoDB has"
        note = (
            f"`{analysis}` has no results table yet: these are {origin}, without failed jobs. "
            f"For a complete and faster table open Catalog in Dagster, then {analysis} / catalog, and choose Materialize."
        )
        return _table(analysis, from_rows(rows, analysis), entry, note)


def _updated(table: pa.Table) -> datetime | None:
    """Return when a catalog was updated, by its own facts."""
    try:
        return datetime.fromisoformat(str(catalog_facts(table).get("updated")))
    except ValueError:
        return None


def _newest(frame: pl.DataFrame) -> datetime | None:
    """Return when the newest result of a table ended, rounded up to the table's precision; None without results."""
    found = frame.filter(pl.col("state") != FAILED)["ended"].max()
    return found + _PRECISION if isinstance(found, datetime) else None


def _table(analysis: str, frame: pl.DataFrame, entry: AnalysisEntry | None, note: str = "") -> Table:
    return Table(analysis, frame, columns_of(frame, entry), note)
