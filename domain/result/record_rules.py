"""Validates stored records: by the schema, and against what was written."""

import warnings
from typing import Any

from aind_data_schema.core.processing import Processing
from pydantic import ValidationError

from domain.errors import NewerFormatError
from domain.result.records import METADATA_SCHEMA_VERSION, from_record, to_record, without_search

_SHOWN = 3


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
        A newer format, errors of aind-data-schema, a record that cannot be parsed, or one that would be written differently.
        Empty if the record is valid.
    """
    try:
        found = from_record(record)
    except NewerFormatError as error:
        return [str(error)]
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

        # fields beside the schema's are the platform's: `_id`, its own object, and what a newer version has added
        Metadata.model_validate({name: value for name, value in record.items() if name in Metadata.model_fields})


def _as_written(stored: Any, written: Any) -> bool:
    """Return whether a stored value contains what was written; each version has fields that the other does not know."""
    if isinstance(stored, dict) and isinstance(written, dict):
        return all(_as_written(stored[name], value) for name, value in written.items() if name in stored)
    if isinstance(stored, list) and isinstance(written, list):
        return len(stored) == len(written) and all(map(_as_written, stored, written))
    return bool(stored == written)
