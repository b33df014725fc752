"""The table of a catalog, as it is stored and read: parquet, one row for each result and each job that failed."""

import io
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from resources.result_store.catalog_files import TABLE, CatalogFiles

FACTS_KEY = b"analysis_assets"
"""Name of the catalog's own facts among the metadata of the file."""

_PARQUET = "application/vnd.apache.parquet"


@dataclass(frozen=True)
class StoredCatalog:
    """A catalog as it was read.

    Attributes
    ----------
    table : pyarrow.Table
        One row for each result or failed job; its columns are those of `domain.result.rows`.
    etag : str
        The server's tag: another one means that there is a newer catalog.
    """

    table: pa.Table
    etag: str


def read_catalog(files: CatalogFiles, analysis: str) -> StoredCatalog | None:
    """Read the catalog of an analysis; None when there is none yet."""
    found = files.get(analysis, TABLE)
    return None if found is None else StoredCatalog(pq.read_table(io.BytesIO(found.content)), found.etag)


def write_catalog(files: CatalogFiles, analysis: str, table: pa.Table) -> None:
    """Put a table in the place of the catalog of an analysis, whole or not at all."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    files.put(analysis, TABLE, buffer.getvalue(), content_type=_PARQUET)


def catalog_facts(table: pa.Table) -> dict[str, Any]:
    """Return what a catalog says of itself; empty when it says nothing that can be read.

    Parameters
    ----------
    table : pyarrow.Table
        As `read_catalog` gives it.

    Returns
    -------
    dict
        ``analysis``; ``code_version``, the current code by which ``state`` was told; ``updated``, a time as text; the numbers
        ``rows``, ``done``, ``outdated`` and ``failed``; ``unreadable``, how many records could not be read.
    """
    try:
        facts = json.loads((table.schema.metadata or {}).get(FACTS_KEY, b"{}"))
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def with_facts(table: pa.Table, facts: dict[str, Any]) -> pa.Table:
    """Return a table that says something of itself: see `catalog_facts`."""
    return table.replace_schema_metadata({FACTS_KEY: json.dumps(facts, sort_keys=True).encode()})
