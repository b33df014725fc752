"""MongoDB in memory: the subset of pymongo that the platform uses, with the server's answers.

Documents pass through BSON, so types, times and copies are the server's. What is not known raises `NotImplementedError`:
a new operator of the platform is added here, and to the table of `test_contract.py`, which compares it with a real server.
Looked at first: mongomock, which is larger than the platform's whole use of MongoDB, and slower.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import bson
from bson import CodecOptions
from pymongo import DeleteOne, ReplaceOne
from pymongo.errors import DuplicateKeyError, WriteError
from pymongo.results import BulkWriteResult, DeleteResult, InsertOneResult, UpdateResult

Document = dict[str, Any]
_AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True)
_DUPLICATE = 11000
_NO_PARENT = 28
_INDEX = re.compile(r"\d+")
_MISSING = object()


def copied(document: Mapping[str, Any]) -> Document:
    """Return a document as the server would give it back."""
    return bson.decode(bson.encode(document), codec_options=_AWARE)


class MongoDouble:
    """The collections of one database."""

    def __init__(self) -> None:
        self.collections: dict[str, CollectionDouble] = {}

    def collection(self, name: str) -> "CollectionDouble":
        """Return a collection; it is created by its first use."""
        return self.collections.setdefault(name, CollectionDouble(name))


class CursorDouble:
    """The documents that a query has found."""

    def __init__(self, documents: list[Document]) -> None:
        self._documents = documents

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._documents = []

    def __iter__(self) -> Iterator[Document]:
        return iter(self._documents)


class CollectionDouble:
    """One collection."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.documents: dict[Any, Document] = {}

    def find(
        self,
        match: Document,
        fields: Any = None,
        *,
        sort: Sequence[tuple[str, int]] | None = None,
        limit: int = 0,
        **options: Any,
    ) -> CursorDouble:
        """Return the documents that match."""
        _known(options, "batch_size", "hint", "max_time_ms")
        found = [document for document in self.documents.values() if matches(document, match)]
        for field, direction in reversed(sort or ()):
            found.sort(key=_sort_key(field, direction), reverse=direction < 0)
        return CursorDouble([_projected(copied(d), fields) for d in (found[:limit] if limit else found)])

    def find_one(self, match: Document, fields: Any = None, **options: Any) -> Document | None:
        """Return the first document that matches."""
        return next(iter(self.find(match, fields, limit=1, **options)), None)

    def count_documents(self, match: Document, *, limit: int = 0, **options: Any) -> int:
        """Count what matches."""
        _known(options, "hint")
        found = sum(matches(document, match) for document in self.documents.values())
        return min(found, limit) if limit else found

    def distinct(self, field: str, match: Document | None = None) -> list[Any]:
        """Return the values of a field, each once."""
        found: list[Any] = []
        for document in self.documents.values():
            if matches(document, match or {}):
                for value in _values(document, field.split(".")):
                    if value is _MISSING:
                        continue
                    for one in value if isinstance(value, list) else [value]:
                        if not any(_equal(one, known) for known in found):
                            found.append(one)
        return sorted(found, key=_order)

    def insert_one(self, document: Document) -> InsertOneResult:
        """Insert a document."""
        if document["_id"] in self.documents:
            raise self._duplicate(document["_id"])
        self.documents[document["_id"]] = copied(document)
        return InsertOneResult(document["_id"], acknowledged=True)

    def find_one_and_update(self, match: Document, change: Document, *, return_document: bool) -> Document | None:
        """Change one document and return it as it is then."""
        if not return_document:
            raise NotImplementedError
        key, _ = self._update_first(match, change, upsert=False)
        return copied(self.documents[key]) if key is not None else None

    def update_one(self, match: Document, change: Document, *, upsert: bool = False) -> UpdateResult:
        """Change one document."""
        key, modified = self._update_first(match, change, upsert=upsert)
        found = modified is not None
        answer: dict[str, Any] = {"n": int(key is not None), "nModified": int(bool(modified))}
        return UpdateResult(answer | ({} if found or key is None else {"upserted": key}), acknowledged=True)

    def update_many(self, match: Document, change: Document) -> UpdateResult:
        """Change every document that matches."""
        keys = [key for key, document in self.documents.items() if matches(document, match)]
        modified = sum(self._update(key, match, change) for key in keys)
        return UpdateResult({"n": len(keys), "nModified": modified}, acknowledged=True)

    def replace_one(self, match: Document, document: Document, *, upsert: bool = False) -> UpdateResult:
        """Replace one document."""
        key = self._first(match)
        if key is not None:
            before, after = self.documents[key], copied({"_id": key, **document})
            self.documents[key] = after
            changed = bson.encode(before) != bson.encode(after)
            return UpdateResult({"n": 1, "nModified": int(changed)}, acknowledged=True)
        if not upsert:
            return UpdateResult({"n": 0, "nModified": 0}, acknowledged=True)
        fresh = {**_equalities(match), **document}
        self.insert_one(fresh)
        return UpdateResult({"n": 1, "nModified": 0, "upserted": fresh["_id"]}, acknowledged=True)

    def delete_one(self, match: Document) -> DeleteResult:
        """Delete one document."""
        key = self._first(match)
        if key is not None:
            del self.documents[key]
        return DeleteResult({"n": int(key is not None)}, acknowledged=True)

    def bulk_write(self, writes: Sequence[Any], *, ordered: bool = True) -> BulkWriteResult:
        """Do several writes, one after the other."""
        counts = {"nInserted": 0, "nMatched": 0, "nModified": 0, "nUpserted": 0, "nRemoved": 0}
        for write in writes:
            if isinstance(write, DeleteOne):
                counts["nRemoved"] += self.delete_one(parts_of(write)[0]).deleted_count
                continue
            match, change, upsert = parts_of(write)
            act = self.replace_one if isinstance(write, ReplaceOne) else self.update_one
            done = act(match, change, upsert=upsert)
            counts["nUpserted"] += done.upserted_id is not None
            counts["nMatched"] += done.matched_count
            counts["nModified"] += done.modified_count
        return BulkWriteResult({**counts, "upserted": [], "writeErrors": []}, acknowledged=True)

    def _first(self, match: Document) -> Any:
        """Return the id of the first document that matches, or None."""
        return next((key for key, document in self.documents.items() if matches(document, match)), None)

    def _update_first(self, match: Document, change: Document, *, upsert: bool) -> tuple[Any, bool | None]:
        """Change the first document that matches; returns its id, and whether it changed (None: inserted)."""
        key = self._first(match)
        if key is not None:
            return key, self._update(key, match, change)
        if not upsert:
            return None, False
        fresh = _equalities(match)
        _apply(fresh, {**change, "$set": {**change.get("$setOnInsert", {}), **change.get("$set", {})}}, None)
        self.insert_one(fresh)
        return fresh["_id"], None

    def _update(self, key: Any, match: Document, change: Document) -> bool:
        """Change one document; returns whether it is another one then."""
        before = self.documents[key]
        after = copied(before)
        _apply(after, copied(change), _position(before, match))
        self.documents[key] = copied(after)
        return bson.encode(before) != bson.encode(after)

    def _duplicate(self, key: Any) -> DuplicateKeyError:
        """Return the error for an id that is taken."""
        return DuplicateKeyError(f"E11000 duplicate key error collection: {self.name} dup key: {key}", _DUPLICATE)


def parts_of(write: Any) -> tuple[Document, Document, bool]:
    """Return filter, change and upsert of one write of a bulk; pymongo has no public way to read them."""
    return write._filter, getattr(write, "_doc", {}), bool(getattr(write, "_upsert", False))  # noqa: SLF001


def matches(document: Document, match: Document) -> bool:
    """Return whether a document meets a filter."""
    for name, condition in match.items():
        if name == "$or":
            met = any(matches(document, one) for one in condition)
        elif name == "$nor":
            met = not any(matches(document, one) for one in condition)
        elif name == "$and":
            met = all(matches(document, one) for one in condition)
        elif name.startswith("$"):
            raise NotImplementedError(name)
        else:
            met = _meets(_values(document, name.split(".")), condition)
        if not met:
            return False
    return True


def _meets(values: list[Any], condition: Any) -> bool:
    """Return whether the values of a field meet a condition."""
    if not _is_operators(condition):
        return _any_equal(values, condition)
    return all(_OPERATORS[operator](values, operand) for operator, operand in condition.items())


def _is_operators(condition: Any) -> bool:
    """Return whether a condition consists of operators."""
    return isinstance(condition, Mapping) and any(str(name).startswith("$") for name in condition)


def _any_equal(values: list[Any], wanted: Any) -> bool:
    """Return whether one of the values, or of their elements, equals another; None also means missing."""
    return any(wanted is None if one is _MISSING else _equal(one, wanted) for one in _spread(values))


def _spread(values: Iterable[Any]) -> Iterator[Any]:
    """Yield values and, of arrays, also their elements."""
    for value in values:
        yield value
        if isinstance(value, list):
            yield from value


def _compares(test: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    """Return a comparison of values of the same kind."""

    def compare(values: list[Any], operand: Any) -> bool:
        return any(
            _order(one)[0] == _order(operand)[0] and test(_order(one)[1], _order(operand)[1]) for one in _spread(values)
        )

    return compare


def _element_matches(values: list[Any], operand: Document) -> bool:
    """Return whether an element of an array meets a filter."""
    elements = [one for value in values if isinstance(value, list) for one in value]
    return any(isinstance(one, dict) and matches(one, operand) for one in elements)


_OPERATORS: dict[str, Callable[[list[Any], Any], bool]] = {
    "$eq": _any_equal,
    "$ne": lambda values, operand: not _any_equal(values, operand),
    "$in": lambda values, operand: any(_any_equal(values, one) for one in operand),
    "$nin": lambda values, operand: not any(_any_equal(values, one) for one in operand),
    "$lt": _compares(lambda a, b: bool(a < b)),
    "$lte": _compares(lambda a, b: bool(a <= b)),
    "$gt": _compares(lambda a, b: bool(a > b)),
    "$gte": _compares(lambda a, b: bool(a >= b)),
    "$exists": lambda values, operand: any(one is not _MISSING for one in values) == bool(operand),
    "$not": lambda values, operand: not _meets(values, operand),
    "$elemMatch": _element_matches,
}


def _values(value: Any, path: list[str]) -> list[Any]:
    """Return every value that a path leads to; through arrays it leads to that of each element."""
    if not path:
        return [value]
    if isinstance(value, dict):
        return _values(value[path[0]], path[1:]) if path[0] in value else [_MISSING]
    if isinstance(value, list):  # an empty one has no value, and none is missing in it
        found = [one for element in value if isinstance(element, dict) for one in _values(element, path)]
        if _INDEX.fullmatch(path[0]) and int(path[0]) < len(value):
            found += _values(value[int(path[0])], path[1:])
        return found
    return [_MISSING]


def _equal(one: Any, other: Any) -> bool:
    """Return whether the server takes two values for equal: the order of fields counts, true is not 1."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        return list(one) == list(other) and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _order(value: Any) -> tuple[int, Any]:
    """Return a key by which values of all kinds are sorted."""
    kinds: list[tuple[Any, int]] = [
        (bool, 5),
        (int | float, 1),
        (str, 2),
        (dict, 3),
        (list | tuple, 4),
        (datetime, 6),
    ]
    if value is None or value is _MISSING:
        return 0, 0
    kind = next((number for types, number in kinds if isinstance(value, types)), None)
    if kind is None:
        raise NotImplementedError(type(value))
    return kind, [_order(one) for one in value] if kind == 4 else str(value) if kind == 3 else value


def _sort_key(field: str, direction: int) -> Callable[[Document], tuple[int, Any]]:
    """Return the key by which documents are sorted."""

    def key(document: Document) -> tuple[int, Any]:
        found = [_order(one) for one in _spread(_values(document, field.split("."))) if not isinstance(one, list)]
        return (min(found) if direction > 0 else max(found)) if found else (0, 0)

    return key


def _projected(document: Document, fields: Any) -> Document:
    """Return the requested fields of a document."""
    if not fields:
        return document
    wanted = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(fields, 1)
    with_id = bool(wanted.pop("_id", 1))
    if wanted and not any(wanted.values()):
        for name in wanted:
            _without(document, name.split("."))
        return document if with_id else {k: v for k, v in document.items() if k != "_id"}
    kept: Document = {"_id": document["_id"]} if with_id else {}
    kept.update(_with_only(document, [name.split(".") for name in wanted]))
    return kept


def _with_only(value: Any, paths: list[list[str]]) -> Any:
    """Return the parts of a value that some paths lead to."""
    if isinstance(value, list):
        return [_with_only(one, paths) for one in value if isinstance(one, dict)]
    found: Document = {}
    for name, inner in value.items():
        rest = [path[1:] for path in paths if path[0] == name]
        if any(not path for path in rest):
            found[name] = inner
        elif rest and isinstance(inner, dict | list):
            found[name] = _with_only(inner, rest)
    return found


def _without(value: Any, path: list[str]) -> None:
    """Remove what a path leads to."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and path[0] in one:
            if len(path) == 1:
                del one[path[0]]
            else:
                _without(one[path[0]], path[1:])


def _equalities(match: Document) -> Document:
    """Return the fields that an upsert takes from its filter."""
    return {k: v for k, v in match.items() if not k.startswith("$") and "." not in k and not _is_operators(v)}


def _position(document: Document, match: Document) -> int | None:
    """Return which element of an array met the filter: what ``$`` means in an update."""
    for name, condition in match.items():
        head, _, rest = name.partition(".")
        elements = document.get(head)
        if rest and isinstance(elements, list):
            for number, element in enumerate(elements):
                if isinstance(element, dict) and _meets(_values(element, rest.split(".")), condition):
                    return number
    return None


def _apply(document: Document, change: Document, position: int | None) -> None:
    """Apply an update."""
    for operator, fields in change.items():
        if operator == "$setOnInsert":
            continue
        for name, operand in fields.items():
            path = [str(position) if part == "$" and position is not None else part for part in name.split(".")]
            _UPDATES[operator](*_parent(document, path, create=operator != "$unset"), operand)


def _parent(value: Any, path: list[str], *, create: bool) -> tuple[Any, Any]:
    """Return what holds the last part of a path, and that part."""
    for part in path[:-1]:
        if isinstance(value, list):
            value = value[int(part)]
            continue
        if part not in value:
            if not create:
                return {}, path[-1]
            value[part] = {}
        value = value[part]
        if not isinstance(value, dict | list):
            msg = f"Cannot create field '{path[-1]}' in element {{{part}: {value}}}"
            raise WriteError(msg, _NO_PARENT)
    return value, int(path[-1]) if isinstance(value, list) else path[-1]


def _push(holder: Any, name: Any, operand: Any) -> None:
    """Append to an array, and cut it."""
    each = operand["$each"] if isinstance(operand, dict) and "$each" in operand else [operand]
    found = [*holder.get(name, []), *each]
    if isinstance(operand, dict) and "$slice" in operand:
        _known(operand, "$each", "$slice")
        cut = operand["$slice"]
        found = found[cut:] if cut < 0 else found[:cut]
    holder[name] = found


def _add_to_set(holder: Any, name: Any, operand: Any) -> None:
    """Append what is not there."""
    each = operand["$each"] if isinstance(operand, dict) and "$each" in operand else [operand]
    for one in each:
        if not any(_equal(one, known) for known in holder.setdefault(name, [])):
            holder[name].append(one)


def _set(holder: Any, name: Any, operand: Any) -> None:
    """Set a field."""
    holder[name] = operand


def _increment(holder: Any, name: Any, operand: Any) -> None:
    """Add to a number."""
    holder[name] = holder.get(name, 0) + operand


def _unset(holder: Any, name: Any, _: Any) -> None:
    """Remove a field."""
    holder.pop(name, None)


_UPDATES: dict[str, Callable[[Any, Any, Any], None]] = {
    "$set": _set,
    "$inc": _increment,
    "$push": _push,
    "$addToSet": _add_to_set,
    "$unset": _unset,
}


def _known(options: Mapping[str, Any], *names: str) -> None:
    """Refuse an option that the double does not know."""
    if unknown := options.keys() - set(names):
        raise NotImplementedError(sorted(unknown))
