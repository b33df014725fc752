"""Metadata records of data assets, of all versions of aind-data-schema, as plain documents.

Records are not validated against a schema: a database has records of 1.x and 2.x, and a dispatch needs only a few
fields. The values are plain JSON.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ID_FIELDS = ("external_links", "other_identifiers")
"""Fields of the asset ids in records of 1.x and 2.x."""

BASE_FIELDS = ("_id", "name", "location", *ID_FIELDS)
"""Fields that every dispatch reads."""

_ID_SYSTEM = "Code Ocean"


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """The fields of a record that a dispatch reads.

    Attributes
    ----------
    record_id : str or None
        Its ``_id``; None for a URL that was given by hand and has no record.
    name : str
        Name of the asset.
    location : str
        Its URL; empty if the record has none.
    document : dict
        The fields that were read from the record.
    """

    record_id: str | None
    name: str
    location: str
    document: dict[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, document: dict[str, Any]) -> "AssetRecord":
        """Return the record of a document of the metadata database."""
        location, name = (_text(document.get(key)) for key in ("location", "name"))
        record_id = document.get("_id")
        return cls(None if record_id is None else str(record_id), name or last_part(location), location, document)

    @classmethod
    def by_hand(cls, location: str) -> "AssetRecord":
        """Return a record for a URL without a document."""
        return cls(None, last_part(location), location)

    @property
    def asset_ids(self) -> tuple[str, ...]:
        """The ids of the asset, from both fields."""
        return tuple(i for key in ID_FIELDS for i in _ids(self.document.get(key)))

    def order(self) -> tuple[str, str]:
        """Return the sort key of records, which makes results independent of the database's order."""
        return self.location, self.record_id or ""


def asset_id_filter(ids: list[str]) -> dict[str, Any]:
    """Return the find filter for records with these asset ids, of all schema versions.

    Parameters
    ----------
    ids : list of str
        Ids of assets; they are only used as values of the filter.
    """
    return {"$or": [{f"{key}.{_ID_SYSTEM}": {"$in": ids}} for key in ID_FIELDS]}


def value_at(document: Any, path: str) -> Any:
    """Return the value at a dotted path of a document, by MongoDB's rules.

    Parameters
    ----------
    document : Any
        A JSON value, usually an object.
    path : str
        Names separated by dots; a number is a position in a list.

    Returns
    -------
    Any
        The value; None if there is none. For a path through a list without position: the list of its entries' values.
    """
    found = document
    parts = path.split(".")
    for number, part in enumerate(parts):
        if isinstance(found, list):
            if part.isdecimal():
                found = found[int(part)] if int(part) < len(found) else None
                continue
            rest = ".".join(parts[number:])
            return [value for entry in found if (value := value_at(entry, rest)) is not None]
        found = found.get(part) if isinstance(found, dict) else None
    return found


def unwound(document: dict[str, Any], path: str) -> Iterator[dict[str, Any]]:
    """Yield a copy of a document for each entry of the lists along a path, with the entry instead of the list.

    Parameters
    ----------
    document : dict
        A JSON object; it is not changed.
    path : str
        Names separated by dots.

    Yields
    ------
    dict
        No copy for an empty list; the document itself if there is no list.
    """
    yield from _unwound(document, path.split("."))


def is_null(value: Any) -> bool:
    """Return whether a field has no value: missing, null, or a list of nulls."""
    return value is None or (isinstance(value, list) and all(is_null(entry) for entry in value))


def order_of(value: Any) -> tuple[int, float, str]:
    """Return the sort key of values, oldest first: numbers, then times of any time zone, then text.

    A time without a zone is UTC. Lists are sorted by their largest entry; missing values come first.
    """
    if isinstance(value, list):
        return max((order_of(entry) for entry in value), default=(0, 0.0, ""))
    if isinstance(value, bool | int | float):
        return 1, float(value), ""
    if not isinstance(value, str):
        return 0, 0.0, ""
    try:
        time = datetime.fromisoformat(value)
        return 2, (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp(), ""
    except (ValueError, OverflowError):
        return 3, 0.0, value


def last_part(location: str) -> str:
    """Return the last part of a URL, which is the name of an asset without a name."""
    return location.rstrip("/").rpartition("/")[2]


def paths_of(document: Any, *, depth: int = 8) -> Iterator[str]:
    """Yield the dotted paths of a document's fields, without list positions."""
    if isinstance(document, list):
        for entry in document:
            yield from paths_of(entry, depth=depth)
    elif isinstance(document, Mapping) and depth:
        for key, value in document.items():
            yield key
            yield from (f"{key}.{inner}" for inner in paths_of(value, depth=depth - 1))


def _unwound(value: Any, parts: list[str]) -> Iterator[Any]:
    """Yield a copy of a value for each entry of the lists along the rest of a path."""
    if isinstance(value, list):
        for entry in value:
            yield from _unwound(entry, parts)
    elif parts and isinstance(value, dict) and parts[0] in value:
        for inner in _unwound(value[parts[0]], parts[1:]):
            yield {**value, parts[0]: inner}
    else:
        yield value


def _ids(place: Any) -> Iterator[str]:
    """Yield the ids in one of the two fields: an object, or a list of objects in early records."""
    for entry in place if isinstance(place, list) else [place]:
        found = entry.get(_ID_SYSTEM) if isinstance(entry, dict) else None
        yield from (i for i in (found if isinstance(found, list) else [found]) if isinstance(i, str) and i)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
