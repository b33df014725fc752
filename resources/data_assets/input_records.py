"""Reads the metadata records of a job's inputs."""

from collections.abc import Sequence
from itertools import chain

from domain.data_asset.matching import places_of, record_of
from domain.data_asset.record import AssetRecord
from domain.errors import DispatchError, InputError, ServerUnavailableError
from domain.messages import joined
from resources.data_assets.records import AssetRecords, SlowQueryError
from resources.mongo_collection import Document

_TIME_LIMIT_S = 60.0


def records_of_inputs(assets: AssetRecords, urls: Sequence[str], *, ids: Sequence[str]) -> tuple[AssetRecord, ...]:
    """Return the whole metadata record of each input.

    Parameters
    ----------
    assets : AssetRecords
        Metadata database; only read.
    urls : sequence of str
        URLs of the inputs.
    ids : sequence of str
        Record ids that the job's requests name; they are read first, and locations only if an input is left.

    Returns
    -------
    tuple of AssetRecord
        Parallel to `urls`; inputs of one data asset have the same record.

    Raises
    ------
    InputError
        If an input has no record or several, or the database rejects the query.
    ServerUnavailableError
        If the database does not answer in time.
    """
    found = _find(assets, {"_id": {"$in": list(ids)}}) if ids else []
    chosen = _choose(urls, found, ids)
    if None in chosen:
        places = chain.from_iterable(places_of(url) for url in dict.fromkeys(urls))
        locations = [f"{place}{end}" for place in places for end in ("", "/")]
        known = {record.record_id for record in found}
        found += [r for r in _find(assets, {"location": {"$in": locations}}) if r.record_id not in known]
        chosen = _choose(urls, found, ids)
    records = []
    for url, record in zip(urls, chosen, strict=True):
        if record is None:
            raise _no_record(assets, url, ids)
        records.append(record)
    return tuple(records)


def _no_record(assets: AssetRecords, url: str, ids: Sequence[str]) -> InputError:
    """Return the error for an input without a record."""
    named = f" and the ids {joined(ids, most=5, separator=', ')}" if ids else ""
    msg = (
        f"{url} has no metadata record: {assets.description} has none with this location or that of a folder above it"
        f"{named}. Register the data asset, or correct `docdb_record_id` in the job file."
    )
    return InputError(msg, location=url)


def _choose(urls: Sequence[str], records: Sequence[AssetRecord], ids: Sequence[str]) -> list[AssetRecord | None]:
    """Return the record of each input; None where these records contain none."""
    return [record_of(url, records, ids=ids, is_only_input=len(urls) == 1) for url in urls]


def _find(assets: AssetRecords, query: Document) -> list[AssetRecord]:
    """Return whole records, and convert the errors of a dispatch to those of a job."""
    try:
        return list(assets.find(query, fields=None, time_limit_s=_TIME_LIMIT_S))
    except SlowQueryError:
        msg = (
            f"{assets.description} did not find the metadata records of a job's inputs within {_TIME_LIMIT_S:g} s. Index the "
            "field `location` of this collection."
        )
        raise ServerUnavailableError(msg) from None
    except DispatchError as error:
        raise InputError(str(error)) from None
