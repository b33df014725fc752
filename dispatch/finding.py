"""From options to asset records: by a query, by asset ids, or by hand."""

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
class Found:
    """What was found, and what was not.

    Attributes
    ----------
    records : list of AssetRecord
        The records, in any order.
    query : str or None
        The query, as canonical JSON; None: the assets were named.
    skips : list of Skip
        Ids and names without a record.
    warnings : list of str
        What is probably not meant.
    """

    records: list[AssetRecord]
    query: str | None = None
    skips: list[Skip] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_records(options: DispatchOptions, assets: AssetRecords) -> Found:
    """Find the records that options choose.

    Parameters
    ----------
    options : DispatchOptions
        Checked options: assets are chosen in one way.
    assets : AssetRecords
        The metadata database.

    Returns
    -------
    Found
        Records, and what was not found.

    Raises
    ------
    DispatchError
        If the query is refused, takes too long, or finds more records than `max_records`.
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


def _by_query(options: DispatchOptions, assets: AssetRecords) -> Found:
    """Find what a filter finds; it is counted first, so that a mistake costs no memory."""
    query = parse_query(options.query)
    _check_number(assets.count(query, time_limit_s=options.time_limit_s), "The query finds", options)
    found = assets.find(query, fields=options.record_fields(), time_limit_s=options.time_limit_s)
    records = list(islice(found, options.max_records + 1))  # more may have been added since they were counted
    _check_number(len(records), "The query finds", options)
    warnings = _unknown_fields(fields_of(query), options, assets)
    return Found(records, canonical_json(query).decode(), warnings=warnings)


def _by_asset_id(options: DispatchOptions, assets: AssetRecords) -> Found:
    """Find the records of assets by their ids, wherever these stand."""
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
    return Found(_each_once(records), skips=missing)


def _by_hand(options: DispatchOptions, assets: AssetRecords) -> Found:
    """Find records by id, name or address; an address of which there is no record is taken as it is."""
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
    return Found([*_each_once(records), *by_address], skips=skips)


def _named(words: Sequence[str]) -> dict[str, Any]:
    """Return the filter for records with these ids, names or addresses."""
    places = [f"{word.rstrip('/')}{slash}" for word in words if "://" in word for slash in ("", "/")]
    names = [word for word in words if "://" not in word]
    return {"$or": [{"_id": {"$in": names}}, {"name": {"$in": names}}, {"location": {"$in": places}}]}


def _unknown_fields(fields: Iterable[str], options: DispatchOptions, assets: AssetRecords) -> list[str]:
    """Say which fields no record has, and which were perhaps meant."""
    limit = min(options.time_limit_s, _FIELD_CHECK_S)
    unknown = [
        name for name in map(without_positions, fields) if name and not assets.has_field(name, time_limit_s=limit)
    ]
    if not unknown:
        return []
    known = assets.known_fields()
    return [unknown_field(name, known) for name in unknown] if known else []


def _check_number(number: int, what: str, options: DispatchOptions, things: str = "records") -> None:
    """Refuse more than a person wants to handle at once."""
    if number > options.max_records:
        msg = f"{what} {number} {things}; at most {options.max_records} are taken. Narrow it, or raise `max_records`."
        raise DispatchError(msg)


def _each_once(records: Iterable[AssetRecord]) -> list[AssetRecord]:
    """Leave out records that were found twice."""
    return list({record.order(): record for record in records}.values())
