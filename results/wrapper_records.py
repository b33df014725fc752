"""Records that the earlier analysis wrapper wrote, where they lie in the same collection: read, and never changed."""

from collections.abc import Iterator, Mapping
from typing import Any

from resources.mongo_collection import Document
from resources.records.reader import OWN
from resources.records.store import RecordStore
from results.queries import has_parts


def wrapper_records(records: RecordStore, parameters: Mapping[str, Any]) -> list[Document]:
    """Return the wrapper's records whose parameters hold all that are wanted, the latest first.

    Parameters
    ----------
    records : RecordStore
        The collection.
    parameters : mapping
        Part of the parameters, compared as `Results.find` compares them.
    """
    found = [record for record in records.find({OWN: None}) if _fits(record, parameters)]
    return sorted(found, key=_ended, reverse=True)


def _fits(record: Document, wanted: Mapping[str, Any]) -> bool:
    """Tell whether any process of a record had the wanted parameters."""
    return any(has_parts(code.get("parameters"), wanted) for code in _codes(record))


def _codes(record: Document) -> Iterator[Document]:
    """Yield the code of each process; what has another form is no record of the wrapper, and has none."""
    for process in _processes(record):
        code = process.get("code")
        if isinstance(code, dict) and isinstance(code.get("parameters"), dict):
            yield code


def _ended(record: Document) -> str:
    """Return when the last process ended, as far as it is told."""
    return max((str(process.get("end_date_time") or "") for process in _processes(record)), default="")


def _processes(record: Document) -> list[Document]:
    """Return the processes of a record."""
    processing = record.get("processing")
    found = processing.get("data_processes") if isinstance(processing, dict) else None
    return [process for process in found if isinstance(process, dict)] if isinstance(found, list) else []
