"""Reads and writes results tables: Parquet, one row for each result and each failed job."""

import io
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from resources.result_store.catalog_files import TABLE, CatalogFiles

FACTS_KEY = b"analysis_assets"
"""Key of the table's own facts in the metadata of the Parquet file."""

_PARQUET = "application/vnd.apache.parquet"


@dataclass(frozen=True)
class StoredCatalog:
    """A results table with the tag of its version.

    Attributes
    ----------
    table : pyarrow.Table
        One row for each result or failed job; its columns are those of `domain.result.rows`.
    etag : str
        ETag of the server; a newer table has another one.
    """

    table: pa.Table
    etag: str


def read_catalog(files: CatalogFiles, analysis: str) -> StoredCatalog | None:
    """Return the results table of an analysis; None if there is none yet."""
    found = files.get(analysis, TABLE)
    return None if found is None else StoredCatalog(pq.read_table(io.BytesIO(found.content)), found.etag)


def write_catalog(files: CatalogFiles, analysis: str, table: pa.Table) -> None:
    """Replace the results table of an analysis, atomically."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    files.put(analysis, TABLE, buffer.getvalue(), content_type=_PARQUET)


def catalog_facts(table: pa.Table) -> dict[str, Any]:
    """Return the facts stored with a results table; empty if there are no readable ones.

    Parameters
    ----------
    table : pyarrow.Table
        Table from `read_catalog`.

    Returns
    -------
    dict
        ``analysis``; ``code_version``, the code version with which ``state`` was determined; ``updated``, a time as text; the numbers
        ``rows``, ``done``, ``outdated`` and ``failed``; ``unreadable``, how many records could not be read.
    """
    try:
        facts = json.loads((table.schema.metadata or {}).get(FACTS_KEY, b"{}"))
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def with_facts(table: pa.Table, facts: dict[str, Any]) -> pa.Table:
    """Return a table with facts in its metadata; see `catalog_facts`."""
    return table.replace_schema_metadata({FACTS_KEY: json.dumps(facts, sort_keys=True).encode()})
