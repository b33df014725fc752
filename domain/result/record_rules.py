"""Validates stored records: by the schema, and against what was written."""

import warnings
from typing import Any

from aind_data_schema.core.processing import Processing
from pydantic import ValidationError

from domain.result.records import METADATA_SCHEMA_VERSION, from_record, to_record, without_search

_SHOWN = 3
_NOT_OF_THE_SCHEMA = {"_id", "analysis_assets"}


def faults_of_record(record: dict[str, Any], *, whole: bool = False) -> list[str]:
    """Return the errors of a record.

    Parameters
    ----------
    record : dict
        Document as stored in MongoDB.
    whole : bool
        Validate the whole document, which takes a second to import its classes; otherwise only `processing`, the
        only part that is not empty.

    Returns
    -------
    list of str
        Errors of aind-data-schema, a record that cannot be parsed, or one that would be written differently. Empty if
        the record is valid.
    """
    try:
        found = from_record(record)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return [f"it cannot be read back: {type(error).__name__}"]
    try:
        Processing.model_validate(record["processing"])
        if whole:
            _validate_whole(record)
    except ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:_SHOWN]]
    if record.get("schema_version") != METADATA_SCHEMA_VERSION:  # another version may write the same differently
        return []
    written = without_search(to_record(found))
    other = [name for name, value in written.items() if not _as_written(record.get(name), value)]
    return [f"`{name}` is not what was written" for name in other]


def _validate_whole(record: dict[str, Any]) -> None:
    """Validate a whole document by the schema."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about the sections that an analysis does not have
        from aind_data_schema.core.metadata import Metadata  # noqa: PLC0415  a second, which no run should wait for

        Metadata.model_validate({name: value for name, value in record.items() if name not in _NOT_OF_THE_SCHEMA})


def _as_written(stored: Any, written: Any) -> bool:
    """Return whether a stored value equals the written one; fields that it lacks did not exist in that version."""
    if isinstance(stored, dict) and isinstance(written, dict):
        return all(_as_written(stored[name], value) for name, value in written.items() if name in stored)
    return bool(stored == written)
