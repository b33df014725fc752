"""Records that the earlier analysis wrapper wrote, where they lie in the same collection: read, and never changed."""

from collections.abc import Iterator, Mapping
from typing import Any

from resources.mongo import Document
from resources.record_store import OWN, RecordStore
from resources.result_queries import has_parts

_WRAPPERS: Document = {OWN: None, "processing.data_processes.code.parameters": {"$exists": True}}
"""Whatever has the form of the wrapper's records and was not written by this platform."""


def wrapper_records(records: RecordStore, parameters: Mapping[str, Any]) -> list[Document]:
    """Return the wrapper's records whose parameters hold all that are wanted, the latest first.

    Parameters
    ----------
    records : RecordStore
        The collection.
    parameters : mapping
        Part of the parameters, compared as `Results.find` compares them.
    """
    found = [record for record in records.found(_WRAPPERS) if _fits(record, parameters)]
    return sorted(found, key=_ended, reverse=True)


def _fits(record: Document, wanted: Mapping[str, Any]) -> bool:
    """Tell whether any process of a record had the wanted parameters."""
    return any(has_parts(code.get("parameters"), wanted) for code in _codes(record))


def _codes(record: Document) -> Iterator[Document]:
    """Yield the code of each process; older records have other forms, which are passed over."""
    for process in record["processing"]["data_processes"]:
        code = process.get("code") if isinstance(process, dict) else None
        if isinstance(code, dict):
            yield code


def _ended(record: Document) -> str:
    """Return when the last process ended, as far as it is told."""
    return max(
        (str(process.get("end_date_time") or "") for process in record["processing"]["data_processes"]), default=""
    )
