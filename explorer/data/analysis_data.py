"""The tables that the explorer shows: catalogs of S3 kept in memory, and read again when there is a newer one."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

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
"""A table is not looked after again for so long."""

MOST_RECORDS = 2000
"""Without a catalog, so many of the newest results are read from MongoDB."""

_RECORDS_KEPT_S = 30.0
_SILENT_S = 300.0
"""MongoDB that did not answer is not asked for the age of a table for so long: every request would wait for it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Table:
    """A table of results as it was read.

    Attributes
    ----------
    analysis : str
        Its analysis; empty: all of them.
    frame : polars.DataFrame
        The rows.
    columns : dict
        Its columns, by name.
    note : str
        What a person should know of where it comes from; may be empty.
    etag : str
        Of the catalog; empty when the rows are from MongoDB.
    updated : datetime or None
        When the catalog was updated, if it says so.
    """

    analysis: str
    frame: pl.DataFrame
    columns: dict[str, Column]
    note: str = ""
    etag: str = ""
    updated: datetime | None = None


@dataclass
class _Kept:
    """A table, and when it was last looked after."""

    table: Table
    checked: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class Tables:
    """Gives tables, reading as little as possible; any number of requests may ask at once.

    Parameters
    ----------
    catalogs : CatalogFiles
        Where the catalogs are.
    records : RecordReader
        Where results are read when there is no catalog.
    entries : mapping
        The analyses by name; None for one whose file cannot be loaded.
    clock : callable
        Seconds that only grow.
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
        """Return the table of an analysis, or of all of them for an empty name.

        Raises
        ------
        KeyError
            If there is no such analysis.
        """
        if analysis == "":
            return self._all()
        entry = self.entries[analysis]
        with self._lock:
            kept = self._kept.setdefault(analysis, _Kept(_table(analysis, from_rows([], analysis), entry), -1e9))
        with kept.lock:  # one request reads, the others wait for it
            waits = CHECKED_S if kept.table.etag or kept.checked < 0 else _RECORDS_KEPT_S
            if self._clock() - kept.checked >= waits:
                kept.table = self._read_again(kept.table, entry)
                kept.checked = self._clock()
            return kept.table

    def _all(self) -> Table:
        """Return the facts of all analyses as one table."""
        tables = [self.table(name) for name in self.entries]
        frame = pl.concat([shared(one.frame) for one in tables] or [shared(from_rows([], ""))])
        notes = " ".join(dict.fromkeys(one.note for one in tables if one.note))
        return Table("", frame, columns_of(frame, None), notes, "+".join(one.etag for one in tables))

    def _read_again(self, old: Table, entry: AnalysisEntry | None) -> Table:
        """Read a table if there is a newer one; what cannot be read now stays as it was, and the note says so."""
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
        """Return what there is without the catalog: the last one that was read, else what MongoDB has, else nothing."""
        if old.frame.height:
            return replace(old, note=f"{problem} What is shown was read before.")
        try:
            found = self._from_records(old.analysis, entry)
        except PlatformError as error:
            return replace(old, note=f"{problem} {error}")
        return replace(found, note=f"{problem} These are the newest results that MongoDB has.")

    def _from_records(self, analysis: str, entry: AnalysisEntry | None) -> Table:
        """Read the newest results from MongoDB."""
        found = [
            one for record in self._records.newest(analysis, limit=MOST_RECORDS).to_list() if (one := readable(record))
        ]
        code = entry.code_version if entry else ""
        rows = [result_row(one, state=state_by_code(one.code_version, current=code)) for one in found]
        told = f"the newest {len(rows):,} results" if len(rows) == MOST_RECORDS else "the results that MongoDB has"
        note = (
            f"`{analysis}` has no results table yet: these are {told}, without failed jobs. "
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
    """Return when the newest result of a table ended; None without results."""
    found = frame.filter(pl.col("state") != FAILED)["ended"].max()
    return found if isinstance(found, datetime) else None


def _table(analysis: str, frame: pl.DataFrame, entry: AnalysisEntry | None, note: str = "") -> Table:
    """Describe a frame."""
    return Table(analysis, frame, columns_of(frame, entry), note)
