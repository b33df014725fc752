"""Stand-ins for pymongo's collections, boto3's client and Dagster's instance that stop before every request.

They pass requests on to the doubles or to real servers alike.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tests.interleaving.accesses import Access, Accesses, of_documents, of_ids
from tests.interleaving.doubles_mongo import Document, parts_of

_DOCUMENTS = ("manifest.json", "metadata.nd.json")
_PARTITIONS, _RUNS = (Access("partitions", several=True),), (Access("runs", several=True),)


class Gate(Protocol):
    """Where the requests of one actor stop."""

    def before(self, what: str, accesses: Accesses) -> None:
        """Wait until a request may be sent."""

    def before_upload(self, attempt: str, accesses: Accesses) -> None:
        """Wait until the files of an attempt may be uploaded."""

    def judged(self) -> None:
        """Note that the time read last is compared with a lease."""

    def changed(self, space: str, operation: str, document: Mapping[str, Any]) -> None:
        """Note that a document was changed."""

    def deleting(self, keys: Sequence[str]) -> None:
        """Note that objects are deleted."""

    def called(self, call: "Call") -> None:
        """Note a call of a collection, for the contract of the doubles."""


Call = tuple[str, str, tuple[Any, ...], dict[str, Any]]
"""Space, operation, positional and named arguments."""


class GatedCollection:
    """A collection whose every request stops at a gate."""

    def __init__(self, raw: Any, gate: Gate, space: str) -> None:
        self._raw, self._gate, self._space = raw, gate, space

    def find(self, match: Document, fields: Any = None, **options: Any) -> Any:
        """Return the documents that match."""
        return self._request("find", match, (match, fields), options)

    def find_one(self, match: Document, fields: Any = None, **options: Any) -> Any:
        """Return a document that matches."""
        return self._request("find_one", match, (match, fields), options)

    def count_documents(self, match: Document, **options: Any) -> Any:
        """Count what matches."""
        return self._request("count_documents", match, (match,), options)

    def distinct(self, field: str, match: Document | None = None) -> Any:
        """Return the values of a field."""
        return self._request("distinct", match or {}, (field, match), {})

    def insert_one(self, document: Document) -> Any:
        """Insert a document."""
        done = self._request("insert_one", {"_id": document["_id"]}, (document,), {}, writes=True)
        self._gate.changed(self._space, "insert", document)
        return done

    def find_one_and_update(self, match: Document, change: Document, **options: Any) -> Any:
        """Change a document and return it."""
        done = self._request("find_one_and_update", match, (match, change), options, writes=True)
        if done is not None:
            self._gate.changed(self._space, "update", done)
        return done

    def update_one(self, match: Document, change: Document, **options: Any) -> Any:
        """Change a document."""
        done = self._request("update_one", match, (match, change), options, writes=True)
        if self._space == "breakers" and (done.modified_count or done.upserted_id is not None):
            self._gate.changed(self._space, "update", {**change["$set"], "_id": match["_id"]})
        return done

    def update_many(self, match: Document, change: Document, **options: Any) -> Any:
        """Change what matches."""
        return self._request("update_many", match, (match, change), options, writes=True)

    def replace_one(self, match: Document, document: Document, **options: Any) -> Any:
        """Replace a document."""
        done = self._request("replace_one", match, (match, document), options, writes=True)
        if done.matched_count:
            self._gate.changed(self._space, "replace", document)
        return done

    def delete_one(self, match: Document) -> Any:
        """Delete a document."""
        done = self._request("delete_one", match, (match,), {}, writes=True)
        if done.deleted_count:
            self._gate.changed(self._space, "delete", match)
        return done

    def bulk_write(self, writes: Sequence[Any], **options: Any) -> Any:
        """Send several writes."""
        filters = [parts_of(write)[0] for write in writes]
        accesses = tuple(a for match in filters for a in of_documents(self._space, match, writes=True))
        kinds = sorted({type(write).__name__ for write in writes})
        self._gate.before(f"bulk_write {self._space} {'+'.join(kinds)} {_shown(filters[0])}", accesses)
        self._gate.called((self._space, "bulk_write", (list(writes),), options))
        return self._raw.bulk_write(writes, **options)

    def create_index(self, *_: Any, **__: Any) -> str:
        """Create nothing: an index changes no answer."""
        return ""

    def _request(
        self,
        operation: str,
        match: Document,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        *,
        writes: bool = False,
    ) -> Any:
        """Send one request."""
        if "lease.until" in str(match):
            self._gate.judged()
        accesses = of_documents(self._space, match, writes=writes)
        if writes and self._space == "records":
            accesses = (*accesses, Access("history"))  # the order of commits and of what people do is judged
        self._gate.before(f"{operation} {self._space} {_shown(match)}", accesses)
        self._gate.called((self._space, operation, arguments, options))
        return getattr(self._raw, operation)(*arguments, **options)


class GatedS3:
    """A client of S3 whose every request stops at a gate."""

    def __init__(self, client: Any, gate: Gate) -> None:
        self._client, self._gate = client, gate
        self.meta = getattr(client, "meta", None)

    def put_object(self, **arguments: Any) -> Any:
        """Store an object."""
        key = str(arguments["Key"])
        folder, _, name = key.rpartition("/")
        if name in _DOCUMENTS:
            self._gate.before(f"put_object {_short(key)}", (Access("s3", key, writes=True),))
        else:
            self._gate.before_upload(_short(folder), (Access("s3", f"{folder}/", several=True, writes=True),))
        return self._client.put_object(**arguments)

    def get_object(self, **arguments: Any) -> Any:
        """Read an object."""
        return self._one("get_object", arguments)

    def head_object(self, **arguments: Any) -> Any:
        """Look at an object."""
        return self._one("head_object", arguments)

    def delete_object(self, **arguments: Any) -> Any:
        """Delete an object."""
        key = str(arguments["Key"])
        self._gate.before(f"delete_object {_short(key)}", (Access("s3", key, writes=True),))
        self._gate.deleting([key])
        return self._client.delete_object(**arguments)

    def delete_objects(self, **arguments: Any) -> Any:
        """Delete several objects."""
        keys = [str(one["Key"]) for one in arguments["Delete"]["Objects"]]
        self._gate.before(f"delete_objects {_short(keys[0])} and others", of_ids("s3", keys, writes=True))
        self._gate.deleting(keys)
        return self._client.delete_objects(**arguments)

    def list_objects_v2(self, **arguments: Any) -> Any:
        """List objects."""
        prefix = str(arguments.get("Prefix", ""))
        self._gate.before(f"list_objects_v2 {_short(prefix)}", (Access("s3", prefix, several=True),))
        return self._client.list_objects_v2(**arguments)

    def get_paginator(self, operation: str) -> "GatedPages":
        """Return what lists page by page."""
        if operation != "list_objects_v2":
            raise NotImplementedError(operation)
        return GatedPages(self)

    def download_file(self, bucket: str, key: str, path: str, **options: Any) -> Any:
        """Read an object into a file."""
        self._gate.before(f"download_file {_short(key)}", (Access("s3", key),))
        return self._client.download_file(bucket, key, path, **options)

    def _one(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Send a request about one object."""
        key = str(arguments["Key"])
        self._gate.before(f"{operation} {_short(key)}", (Access("s3", key),))
        return getattr(self._client, operation)(**arguments)


class GatedPages:
    """A listing; everything that is listed here fits into one page."""

    def __init__(self, client: GatedS3) -> None:
        self._client = client

    def paginate(self, **arguments: Any) -> Any:
        """Yield the page."""
        yield self._client.list_objects_v2(**arguments)


class GatedDagster:
    """An instance whose every request stops at a gate."""

    def __init__(self, instance: Any, gate: Gate) -> None:
        self._instance, self._gate = instance, gate

    @property
    def event_log_storage(self) -> "GatedDagster":
        """The part of an instance that stores events."""
        return GatedDagster(self._instance.event_log_storage, self._gate)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method that stops first."""
        method = getattr(self._instance, name)

        def gated(*args: Any, **kwargs: Any) -> Any:
            accesses = _accesses_of(name, inspect.signature(method).bind(*args, **kwargs).args)
            self._gate.before(f"dagster {name}", accesses)
            return method(*args, **kwargs)

        return gated


def _accesses_of(name: str, arguments: tuple[Any, ...]) -> Accesses:
    """Return what a request to Dagster reads and writes."""
    if "dynamic_partition" in name:
        return (Access("partitions", several=True, writes=not name.startswith("get")),)
    if name.startswith("get_run"):
        return _RUNS
    if name in {"create", "end", "report_run_failed", "add_run_tags"}:
        return (Access("runs", several=True, writes=True),)
    if name == "report_runless_asset_event":
        kind = type(arguments[0]).__name__
        return (Access(f"events {kind}", str(arguments[0].partition), writes=True),)
    if "check" in name:
        return (Access("events AssetCheckEvaluation", several=True),)
    return (Access("events AssetMaterialization", several=True),)


def _shown(match: Mapping[str, Any]) -> str:
    """Return a filter in short."""
    shown = {name: _named(value) for name, value in match.items()}
    return ", ".join(f"{name}={value}" for name, value in shown.items())


def _named(value: Any) -> str:
    """Return a value of a filter in short."""
    if isinstance(value, Mapping) and "$in" in value:
        return f"[{', '.join(_short(str(one)) for one in value['$in'])}]"
    return _short(str(value)) if isinstance(value, str) else "…" if isinstance(value, Mapping | list) else str(value)


def _short(text: str) -> str:
    """Cut digests and uuids."""
    return "/".join(part[:8] if len(part) > 30 else part for part in text.split("/"))
