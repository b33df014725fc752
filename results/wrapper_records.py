"""Reads records of the earlier analysis wrapper in the same collection, and never changes them."""

from collections.abc import Iterator, Mapping
from typing import Any

from resources.mongo_collection import Document
from resources.records.reader import OWN
from resources.records.store import RecordStore
from results.queries import has_parts


def wrapper_records(records: RecordStore, parameters: Mapping[str, Any]) -> list[Document]:
    """Return the wrapper's records whose parameters match, the latest first.

    Parameters
    ----------
    records : RecordStore
        Store of the collection; only read.
    parameters : mapping
        A subset of the parameters, compared as in `Results.find`.
    """
    found = [record for record in records.find({OWN: None}) if _fits(record, parameters)]
    return sorted(found, key=_ended, reverse=True)


def _fits(record: Document, wanted: Mapping[str, Any]) -> bool:
    """Return whether a process of a record has matching parameters."""
    return any(has_parts(code.get("parameters"), wanted) for code in _codes(record))


def _codes(record: Document) -> Iterator[Document]:
    """Yield the code of each process; documents of another form have none."""
    for process in _processes(record):
        code = process.get("code")
        if isinstance(code, dict) and isinstance(code.get("parameters"), dict):
            yield code


def _ended(record: Document) -> str:
    """Return the end of the last process; empty if unknown."""
    return max((str(process.get("end_date_time") or "") for process in _processes(record)), default="")


def _processes(record: Document) -> list[Document]:
    processing = record.get("processing")
    found = processing.get("data_processes") if isinstance(processing, dict) else None
    return [process for process in found if isinstance(process, dict)] if isinstance(found, list) else []
