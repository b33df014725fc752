"""Finds the records of data assets by a query, by asset ids, or by names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from dispatch.model.options import DispatchOptions
from dispatch.model.skips import Reason, Skip
from domain.batching import in_batches
from domain.data_asset.query import fields_of, parse_query, unknown_field, without_positions
from domain.data_asset.record import AssetRecord, asset_id_filter
from domain.errors import DispatchError
from domain.json_values import canonical_json
from resources.data_assets.records import AssetRecords

_IDS_AT_ONCE = 1000
_FIELD_CHECK_S = 5.0


@dataclass
class MatchingRecords:
    """Records that were found, and names without a record.

    Attributes
    ----------
    records : list of AssetRecord
        Records, in any order.
    query : str or None
        The query as canonical JSON; None if the assets were named.
    skips : list of Skip
        Ids and names without a record.
    warnings : list of str
        Messages about probable mistakes in the options.
    """

    records: list[AssetRecord]
    query: str | None = None
    skips: list[Skip] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_records(options: DispatchOptions, assets: AssetRecords) -> MatchingRecords:
    """Return the records that match the options.

    Parameters
    ----------
    options : DispatchOptions
        Validated options, which select assets in exactly one way.
    assets : AssetRecords
        Connection to the metadata database.

    Returns
    -------
    MatchingRecords
        Records, and names that were not found.

    Raises
    ------
    DispatchError
        If the query is rejected, takes too long, or matches more records than `max_records`.
    ServerUnavailableError
        If the database does not answer.
    """
    if options.query.strip():
        found = _by_query(options, assets)
    elif options.records:
        found = _by_hand(options, assets)
    else:
        found = _by_asset_id(options, assets)
    found.warnings += _unknown_fields(options.record_fields(), options, assets)
    if not found.records and not assets.has_field("_id", time_limit_s=_FIELD_CHECK_S):
        found.warnings.append(f"No records found in {assets.description}. Check the settings ASSETS_….")
    return found


def _by_query(options: DispatchOptions, assets: AssetRecords) -> MatchingRecords:
    """Find records by a filter; the matches are counted first, so that a mistake does not fill the memory."""
    query = parse_query(options.query)
    _check_number(assets.count(query, time_limit_s=options.time_limit_s), "The query finds", options)
    found = assets.find(query, fields=options.record_fields(), time_limit_s=options.time_limit_s)
    records = list(islice(found, options.max_records + 1))  # records may have been added after the count
    _check_number(len(records), "The query finds", options)
    warnings = _unknown_fields(fields_of(query), options, assets)
    return MatchingRecords(records, canonical_json(query).decode(), warnings=warnings)


def _by_asset_id(options: DispatchOptions, assets: AssetRecords) -> MatchingRecords:
    """Find records by asset ids, in all fields that may hold them."""
    ids = options.all_asset_ids()
    _check_number(len(ids), "There are", options, "asset ids")
    records = [
        record
        for some in in_batches(ids, _IDS_AT_ONCE)
        for record in assets.find(
            asset_id_filter(some), fields=options.record_fields(), time_limit_s=options.time_limit_s
        )
    ]
    known = {asset_id for record in records for asset_id in record.asset_ids}
    missing = [
        Skip(Reason.NOT_FOUND, i, f"no record in {assets.description} has this asset id") for i in ids if i not in known
    ]
    return MatchingRecords(_each_once(records), skips=missing)


def _by_hand(options: DispatchOptions, assets: AssetRecords) -> MatchingRecords:
    """Find records by id, name or URL; a URL without a record is used as it is."""
    words = list(dict.fromkeys(word.strip() for word in options.records if word.strip()))
    _check_number(len(words), "There are", options, "records")
    records: list[AssetRecord] = []
    for some in in_batches(words, _IDS_AT_ONCE):
        query = _named(some)
        records += assets.find(query, fields=options.record_fields(), time_limit_s=options.time_limit_s)
    known = {word for r in records for word in (r.record_id, r.name, r.location.rstrip("/")) if word}
    missing = [word for word in words if word.rstrip("/") not in known]
    by_address = [AssetRecord.by_hand(word) for word in missing if "://" in word]
    reason = f"no record in {assets.description} has this id or name"
    skips = [Skip(Reason.NOT_FOUND, word, reason) for word in missing if "://" not in word]
    return MatchingRecords([*_each_once(records), *by_address], skips=skips)


def _named(words: Sequence[str]) -> dict[str, Any]:
    """Return the filter for records with these ids, names or URLs."""
    places = [f"{word.rstrip('/')}{slash}" for word in words if "://" in word for slash in ("", "/")]
    names = [word for word in words if "://" not in word]
    return {"$or": [{"_id": {"$in": names}}, {"name": {"$in": names}}, {"location": {"$in": places}}]}


def _unknown_fields(fields: Iterable[str], options: DispatchOptions, assets: AssetRecords) -> list[str]:
    """Return a warning for each field that no record has, with similar names."""
    limit = min(options.time_limit_s, _FIELD_CHECK_S)
    unknown = [
        name for name in map(without_positions, fields) if name and not assets.has_field(name, time_limit_s=limit)
    ]
    if not unknown:
        return []
    known = assets.known_fields()
    return [unknown_field(name, known) for name in unknown] if known else []


def _check_number(number: int, what: str, options: DispatchOptions, things: str = "records") -> None:
    """Raise if there are more records than `max_records`."""
    if number > options.max_records:
        msg = f"{what} {number} {things}; at most {options.max_records} are taken. Narrow it, or raise `max_records`."
        raise DispatchError(msg)


def _each_once(records: Iterable[AssetRecord]) -> list[AssetRecord]:
    """Return records without duplicates."""
    return list({record.order(): record for record in records}.values())
