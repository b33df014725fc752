"""Converts records to inputs of jobs: filters the newest, unwinds lists and groups records.

The result does not depend on the order of the records.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dispatch.model.options import DispatchOptions
from dispatch.model.skips import Reason, Skip
from domain.data_asset.record import AssetRecord, is_null, order_of, unwound, value_at
from domain.errors import InputError
from domain.job.urls import normalize_url
from domain.json_values import canonical_json


@dataclass(frozen=True, slots=True)
class Candidate:
    """The inputs of one job, without its parameters.

    Attributes
    ----------
    records : tuple of AssetRecord
        Sorted by location and id.
    group : dict or None
        Fields that the records share; None if they were not grouped.
    files : tuple of str
        URLs of single files; empty if `file_extension` is not given.
    """

    records: tuple[AssetRecord, ...]
    group: dict[str, Any] | None = None
    files: tuple[str, ...] = ()

    @property
    def locations(self) -> tuple[str, ...]:
        """URLs of the data assets."""
        return tuple(record.location for record in self.records)


def candidates_of(records: Iterable[AssetRecord], options: DispatchOptions) -> tuple[list[Candidate], list[Skip]]:
    """Filter and group records.

    Parameters
    ----------
    records : iterable of AssetRecord
        Records, in any order.
    options : DispatchOptions
        `filter_latest`, `filter_by`, `unwind_list_fields`, `group_by` and `drop_null_groups` are used.

    Returns
    -------
    tuple of list of Candidate and list of Skip
        Candidates in a fixed order, and a skip with the reason for each record that is left out.
    """
    skips: list[Skip] = []
    kept = [record for record in sorted(records, key=AssetRecord.order) if _is_usable(record, skips)]
    if options.filter_latest:
        kept = _latest(kept, options, skips)
    for path in options.unwind_list_fields:
        kept = [part for record in kept for part in _parts(record, path, skips)]
    if not options.group_by:
        return [Candidate((record,)) for record in kept], skips
    return _grouped(kept, options, skips), skips


def _is_usable(record: AssetRecord, skips: list[Skip]) -> bool:
    """Append a skip if a record has no valid location, and return whether it has one."""
    if not record.location:
        skips.append(Skip(Reason.NO_LOCATION, record.name or record.record_id or ""))
        return False
    try:
        normalize_url(record.location)
    except InputError as error:
        skips.append(Skip(Reason.LOCATION_REFUSED, record.name, str(error)))
        return False
    return True


def _latest(records: Sequence[AssetRecord], options: DispatchOptions, skips: list[Skip]) -> list[AssetRecord]:
    """Return the newest record for each combination of fields; of equal ones the last in the order of records."""
    groups: dict[bytes, AssetRecord] = {}
    for record in records:
        key = _shared(record, options.filter_by, options, skips)
        if key is None:
            continue
        best = groups.get(key)
        if best is None:
            groups[key] = record
            continue
        older, newer = sorted(
            (best, record), key=lambda r: (order_of(value_at(r.document, options.filter_latest)), r.order())
        )
        groups[key] = newer
        skips.append(Skip(Reason.NOT_LATEST, older.location, f"{newer.location} is newer"))
    return sorted(groups.values(), key=AssetRecord.order)


def _parts(record: AssetRecord, path: str, skips: list[Skip]) -> list[AssetRecord]:
    """Return a record once for each entry of a list."""
    parts = [
        AssetRecord(record.record_id, record.name, record.location, document)
        for document in unwound(record.document, path)
    ]
    if not parts:
        skips.append(Skip(Reason.NULL_GROUP, record.location, f"`{path}` is an empty list"))
    return parts


def _grouped(records: Sequence[AssetRecord], options: DispatchOptions, skips: list[Skip]) -> list[Candidate]:
    """Group records. An unwound record may be in several groups; duplicates within a group are removed."""
    groups: dict[bytes, dict[tuple[str, str], AssetRecord]] = {}
    values: dict[bytes, dict[str, Any]] = {}
    for record in records:
        key = _shared(record, options.group_by, options, skips)
        if key is not None:
            groups.setdefault(key, {}).setdefault(record.order(), record)
            shared = values.setdefault(key, {})
            for field in options.group_by:
                shared[field] = _spelling(shared.get(field), value_at(record.document, field))
    return [Candidate(tuple(groups[key].values()), values[key]) for key in sorted(groups)]


def _shared(record: AssetRecord, fields: Sequence[str], options: DispatchOptions, skips: list[Skip]) -> bytes | None:
    """Return the key of a record's group; None, with a skip, if the record has no value in a field and is dropped.

    A record that has no value and is kept is a group of its own: two sessions without a subject may be of different animals.
    """
    values = [value_at(record.document, field) for field in fields]
    nothing = [field for field, value in zip(fields, values, strict=True) if is_null(value)]
    if nothing and options.drop_null_groups:
        names = ", ".join(f"`{field}`" for field in nothing)
        skips.append(Skip(Reason.NULL_GROUP, record.location, f"it has no value in {names}"))
        return None
    own = list(record.order()) if nothing else None
    return canonical_json([[None if is_null(value) else comparable(value) for value in values], own])


def comparable(value: Any) -> Any:
    """Return a value in the form in which values are compared: a whole number as its digits.

    Databases hold the same subject as 700001 and as "700001".

    Examples
    --------
    >>> comparable(700001) == comparable("700001") == comparable(700001.0)
    True
    >>> comparable(True) == comparable(1)
    False
    """
    if isinstance(value, list):
        return [comparable(entry) for entry in value]
    if isinstance(value, dict):
        return {name: comparable(entry) for name, entry in value.items()}
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(int(value)) if math.isfinite(value) and value == int(value) else value


def _spelling(one: Any, other: Any) -> Any:
    """Return one of two values that are compared as equal: text rather than a number, whatever the order of records is."""
    return one if isinstance(one, str) or other is None else other
