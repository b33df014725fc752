"""Metadata records of data assets, of every generation of aind-data-schema, read as plain documents.

A record is never validated against a schema: records of 1.x and 2.x lie side by side, and a dispatch needs a few
fields of them only. The values are plain JSON.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ID_FIELDS = ("external_links", "other_identifiers")
"""Where the ids of an asset stand: in records of 1.x and of 2.x."""

BASE_FIELDS = ("_id", "name", "location", *ID_FIELDS)
"""What every dispatch reads of a record."""

_ID_SYSTEM = "Code Ocean"


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """One record, as far as a dispatch has read it.

    Attributes
    ----------
    record_id : str or None
        Its ``_id``; None: an address given by hand, of which no record is known.
    name : str
        Name of the asset.
    location : str
        Its address; empty when the record has none.
    document : dict
        The fields that were read.
    """

    record_id: str | None
    name: str
    location: str
    document: dict[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, document: dict[str, Any]) -> "AssetRecord":
        """Read a document of the metadata database."""
        location, name = (_text(document.get(key)) for key in ("location", "name"))
        record_id = document.get("_id")
        return cls(None if record_id is None else str(record_id), name or last_part(location), location, document)

    @classmethod
    def by_hand(cls, location: str) -> "AssetRecord":
        """Make a record of an address of which nothing else is known."""
        return cls(None, last_part(location), location)

    @property
    def asset_ids(self) -> tuple[str, ...]:
        """The ids of the asset, from both of their places."""
        return tuple(i for key in ID_FIELDS for i in _ids(self.document.get(key)))

    def order(self) -> tuple[str, str]:
        """Return what records are sorted by, so that the database's order never matters."""
        return self.location, self.record_id or ""


def asset_id_filter(ids: list[str]) -> dict[str, Any]:
    """Return the find filter for the records of assets with these ids, of every generation.

    Parameters
    ----------
    ids : list of str
        Ids of assets; they only ever stand as values.
    """
    return {"$or": [{f"{key}.{_ID_SYSTEM}": {"$in": ids}} for key in ID_FIELDS]}


def value_at(document: Any, path: str) -> Any:
    """Return what stands at a dotted path of a document, as MongoDB reads paths.

    Parameters
    ----------
    document : Any
        A JSON value.
    path : str
        Names with dots between; a number is a position in a list.

    Returns
    -------
    Any
        The value; None where there is none. Through a list without a position: the list of what its entries have.
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
    """Yield a document once for each entry of the lists along a path, with the entry in the place of its list.

    Parameters
    ----------
    document : dict
        A JSON object; it is not changed.
    path : str
        Names with dots between.

    Yields
    ------
    dict
        Nothing for an empty list; the document itself where there is no list.
    """
    yield from _unwound(document, path.split("."))


def is_null(value: Any) -> bool:
    """Tell whether a field has no value: missing, null, or a list of nothing."""
    return value is None or (isinstance(value, list) and all(is_null(entry) for entry in value))


def order_of(value: Any) -> tuple[int, float, str]:
    """Return what values are compared by, oldest first: numbers, then times of any time zone, then text.

    A time without a zone is read as UTC. Of a list the largest entry counts; nothing is older than everything.
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
    """Return the last part of an address: what an asset is called where it has no name."""
    return location.rstrip("/").rpartition("/")[2]


def paths_of(document: Any, *, depth: int = 8) -> Iterator[str]:
    """Yield the dotted paths of a document's fields; lists are passed through."""
    if isinstance(document, list):
        for entry in document:
            yield from paths_of(entry, depth=depth)
    elif isinstance(document, Mapping) and depth:
        for key, value in document.items():
            yield key
            yield from (f"{key}.{inner}" for inner in paths_of(value, depth=depth - 1))


def _unwound(value: Any, parts: list[str]) -> Iterator[Any]:
    """Yield a value once for each entry of the lists that the rest of a path meets."""
    if isinstance(value, list):
        for entry in value:
            yield from _unwound(entry, parts)
    elif parts and isinstance(value, dict) and parts[0] in value:
        for inner in _unwound(value[parts[0]], parts[1:]):
            yield {**value, parts[0]: inner}
    else:
        yield value


def _ids(place: Any) -> Iterator[str]:
    """Yield the ids of one of the two places: an object, or the list of objects of early records."""
    for entry in place if isinstance(place, list) else [place]:
        found = entry.get(_ID_SYSTEM) if isinstance(entry, dict) else None
        yield from (i for i in (found if isinstance(found, list) else [found]) if isinstance(i, str) and i)


def _text(value: Any) -> str:
    """Return a text; anything else is none."""
    return value if isinstance(value, str) else ""
