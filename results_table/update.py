"""Updates a results table: only new and changed records are read completely.

The ids and attempts of all records are compared with those of the stored table, and no times are compared: an update
finds everything that an earlier one missed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from domain.batching import in_batches
from domain.errors import PermanentError
from domain.job.state import LedgerEntry
from domain.result.records import readable
from domain.result.rows import DONE, FAILED, OUTDATED, failure_row, result_row, state_by_code
from engine.discovery.analyses import AnalysisEntry
from resources.ledger.ledger import Ledger
from resources.records.reader import attempts_by_result
from resources.records.store import RecordStore
from resources.result_store.catalog_tables import catalog_facts, with_facts
from resources.result_store.store import ResultsStore
from results_table.columns import RESULT_URL, columns_of
from results_table.table import counts, ordered, schema_of, table_of

FORMAT = "analysis-catalog/1"
_RECORDS_AT_ONCE = 500
_NAMED = 20


@dataclass(frozen=True)
class TableUpdate:
    """An updated results table, and what the update has read.

    Attributes
    ----------
    table : pyarrow.Table
        The table; its schema metadata has code version, time and counts.
    read, gone : int
        Number of records that were read, and of rows whose result no longer exists.
    unreadable : list of str
        The first records and jobs that cannot be read and are left out.
    was_rebuilt : bool
        Whether there was no table that could be updated.
    """

    table: pa.Table
    read: int
    gone: int
    unreadable: list[str]
    was_rebuilt: bool


def update_table(
    entry: AnalysisEntry, stored: pa.Table | None, *, records: RecordStore, ledger: Ledger, results: ResultsStore
) -> TableUpdate:
    """Return the updated results table of an analysis.

    Parameters
    ----------
    entry : AnalysisEntry
        Its models define the columns, and its code version the states.
    stored : pyarrow.Table or None
        The stored table; not used if it has other columns or another format.
    records, ledger, results
        Record store, ledger and result store; only read.

    Raises
    ------
    ServerUnavailableError
        If MongoDB does not answer.
    """
    columns, version = columns_of(entry.analysis), entry.code_version
    usable = stored is not None and _is_usable(stored, schema_of(columns))
    before = stored if stored is not None and usable else schema_of(columns).empty_table()
    kept, wanted, gone = _compared(before, attempts_by_result(records, entry.analysis.name))
    unreadable: list[str] = []
    read = table_of(_result_rows(records, wanted, version, unreadable), columns)
    failed = table_of(_failure_rows(ledger.jobs.failures(entry.analysis.name), unreadable), columns)
    table = pa.concat_tables([_with_states(kept, version), read, failed]).cast(schema_of(columns))
    table = _with_links(ordered(table), results)
    facts = {
        "format": FORMAT,
        "analysis": entry.analysis.name,
        "code_version": version,
        "updated": ledger.now().isoformat(),
        "unreadable": len(unreadable),
        **counts(table),
    }
    return TableUpdate(with_facts(table, facts), len(wanted), gone, unreadable[:_NAMED], was_rebuilt=not usable)


def _is_usable(stored: pa.Table, schema: pa.Schema) -> bool:
    """Return whether a table has the current columns and format."""
    return catalog_facts(stored).get("format") == FORMAT and stored.schema.equals(schema, check_metadata=False)


def _compared(stored: pa.Table, current: dict[str, str]) -> tuple[pa.Table, list[str], int]:
    """Return the rows to keep, the ids of new and changed records, and the number of rows without a record."""
    old = stored.filter(pc.not_equal(stored["state"], FAILED))
    pairs = list(zip(old["result_id"].to_pylist(), old["attempt"].to_pylist(), strict=True))
    stays = [current.get(result) == attempt for result, attempt in pairs]
    known = {result for (result, _), stay in zip(pairs, stays, strict=True) if stay}
    gone = sum(result not in current for result, _ in pairs)
    return old.filter(pa.array(stays, pa.bool_())), sorted(current.keys() - known), gone


def _result_rows(
    records: RecordStore, ids: Sequence[str], version: str, unreadable: list[str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of results; none for a result that was removed in the meantime."""
    for some in in_batches(ids, _RECORDS_AT_ONCE):
        for result, record in records.get_many(some).items():
            found = readable(record)
            if found is None:
                unreadable.append(f"record {result}")
            else:
                yield result_row(found, state=state_by_code(found.code_version, current=version))


def _failure_rows(jobs: Iterable[LedgerEntry], unreadable: list[str]) -> Iterator[dict[str, Any]]:
    for job in jobs:
        try:
            row = failure_row(job)
        except (ValueError, LookupError, TypeError):  # the stored job was damaged by hand
            unreadable.append(f"job {job.job_key}")
        else:
            yield row


def _with_states(table: pa.Table, version: str) -> pa.Table:
    """Set the states again, because the current code may have changed."""
    states = pc.if_else(pc.equal(table["code_version"], version), DONE, OUTDATED)
    return table.set_column(table.schema.get_field_index("state"), "state", states)


def _with_links(table: pa.Table, results: ResultsStore) -> pa.Table:
    """Set the links again, because the addresses of embedded servers change."""
    links = pa.array([_link(results, location) for location in table["location"].to_pylist()], pa.string())
    place = table.schema.get_field_index(RESULT_URL)
    return table.set_column(place, table.schema.field(place), links)


def _link(results: ResultsStore, location: str | None) -> str | None:
    """Return a link to a result's folder; None for a job without a result or with an invalid location."""
    try:
        return results.browse_url(location) if location else None
    except PermanentError:
        return None
