"""What is watched while the platform is attacked: commands to MongoDB, files around its folders, objects in S3."""

import os
from pathlib import Path

from pymongo import monitoring

from tests.raw import database_of

WRITES = {"insert", "update", "delete", "findAndModify"}
ASSETS = "data_assets"
FILTER_OPERATORS = {"$in", "$nin", "$ne", "$lt", "$lte", "$gt", "$gte", "$exists"}
LOGICAL = {"$or", "$and", "$nor"}
UPDATE_OPERATORS = {"$set", "$setOnInsert", "$inc", "$push", "$addToSet", "$unset"}
SEARCH = "analysis_assets.search"
OURS = {
    *("_id", "analysis", "attempt", "attempt_number", "attempts", "cancel", "code_version", "created", "dispatch_id"),
    *(
        "ended",
        "error",
        "fingerprint",
        "force",
        "fruitless",
        "inputs",
        "job_key",
        "judged_with",
        "kind",
        "lease",
        "name",
    ),
    *("origins", "outcome", "owner", "parameters", "problem", "reason", "requests", "result_id", "retry_at", "rounds"),
    *(
        "why",
        "changed",
        "probes",
        "probe_at",
        "told",
        "closed_by",
        "closed_because",
        "files_removed",
        "refused",
        "revision",
    ),
    *("counted_run", "requested_at", "unstarted", "requested_code", "unreported"),
    *("committing", "replaces", "fenced", "usable_attempts", "dropped_attempts", "withdrawn", "attempts"),
    *("run_id", "sources", "state", "superseded", "until", "updated", "when", "who", "$", "analysis_assets"),
}
"""Names of fields that the platform's own filters and updates are made of; nothing from outside is among them."""
CODE = {"$where", "$function", "$accumulator", "$out", "$merge"}
"""What no query of assets may hold at any depth; `$expr` alone only compares fields, and is theirs to use."""


class Commands(monitoring.CommandListener):
    """Keeps every command that a client sends."""

    def __init__(self):
        self.clear()

    def clear(self):
        """Forget what was seen."""
        self.count, self._faults, self.names = 0, [], set()

    def started(self, event):
        """Judge a command at once: keeping all of them would cost more memory than the attacks."""
        self.count += 1
        self.names.add(event.command_name)
        self._faults += [f"{event.command_name}: {fault}" for fault in judged(event.command_name, dict(event.command))]

    def succeeded(self, event):
        """Pass over an answer."""

    def failed(self, event):
        """Pass over an error."""

    def faults(self):
        """Return what no text from outside may bring about."""
        return self._faults[:20]


def judged(name, command):
    """Return where a command has an operator or field that is not the platform's."""
    collection = command.get(name)
    if name == "getMore" or not isinstance(collection, str):
        return []
    if name == "aggregate":  # how pymongo counts documents
        stages = [next(iter(stage)) for stage in command["pipeline"]]
        assert set(stages) <= {"$match", "$group", "$skip", "$limit", "$count"}, stages
        return [
            f for stage in command["pipeline"] if "$match" in stage for f in _of_filter(stage["$match"], collection)
        ]
    found = list(_of_filter(command.get("filter") or command.get("query") or {}, collection))
    for update in command.get("updates", ()):
        found += [*_of_filter(update["q"], collection), *_of_update(update["u"])]
    for delete in command.get("deletes", ()):
        found += _of_filter(delete["q"], collection)
    for document in command.get("documents", ()):
        found += _of_value(document, "")
    return found


def _of_filter(filter_, collection):
    """Yield what is wrong with a filter."""
    if collection == ASSETS:  # what people ask of these records is a filter by design, which can only read
        yield from (f"{key} in a query of assets" for key in _keys(filter_) if key.lower() in CODE)
        return
    for key, value in filter_.items():
        if key in LOGICAL:
            for part in value:
                yield from _of_filter(part, collection)
            continue
        yield from _of_name(key)
        if key == SEARCH:
            yield from _of_search(value)
            continue
        if isinstance(value, dict):
            yield from (f"{key}: {operator}" for operator in value if operator not in FILTER_OPERATORS)
        operands = value.values() if isinstance(value, dict) else [value]
        compared = [one for operand in operands for one in (operand if isinstance(operand, list) else [operand])]
        yield from (
            f"{key} is compared with a {type(one).__name__}" for one in compared if isinstance(one, dict | list)
        )


def _of_search(value):
    """Yield what is wrong with a condition on what a record is found by: a pair of a name and a single value."""
    entry = value.get("$not", value).get("$elemMatch")
    if not isinstance(entry, dict) or set(entry) != {"k", "v"} or not isinstance(entry["k"], str):
        yield f"{SEARCH}: {value!r}"
        return
    operators = entry["v"].items()
    yield from (f"{SEARCH}: {name}" for name, _ in operators if name not in {*FILTER_OPERATORS, "$eq"})
    yield from (f"{SEARCH} is compared with {one!r}" for _, one in operators if isinstance(one, dict | list))


def _of_update(update):
    """Yield what is wrong with an update, or with a document that takes another one's place."""
    if not any(key.startswith("$") for key in update):
        yield from _of_value(update, "")
        return
    for operator, fields in update.items():
        if operator not in UPDATE_OPERATORS:
            yield f"the update {operator}"
        for key, value in fields.items():
            yield from _of_name(key)
            inner = value
            if isinstance(value, dict) and operator in {"$push", "$addToSet"} and "$each" in value:
                yield from (f"{operator}: {k}" for k in set(value) - {"$each", "$slice"})
                inner = value["$each"]
            yield from _of_value(inner, key)


def _of_name(key):
    """Yield names that are not fields of the platform."""
    if not {part for part in key.split(".") if not part.isdigit()} <= OURS and not key.startswith(
        ("processing.", "analysis_assets.")
    ):
        yield f"the field {key!r}"


def _of_value(value, path):
    """Yield keys inside a stored value that could be read as operators or paths."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.startswith("$") or "." in key or "\0" in key:
                yield f"the key {key!r} is stored at {path}"
            yield from _of_value(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _of_value(inner, path)


def _keys(value):
    """Yield every key of a document, at every depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _keys(inner)


def tree(*folders):
    """Describe every entry below some folders, links themselves included, without following any."""
    found = {}
    for folder in folders:
        for parent, names, files in os.walk(folder, followlinks=False):
            for name in [*names, *files]:
                path = Path(parent) / name
                facts = path.lstat()
                found[str(path)] = (facts.st_mode, facts.st_size, facts.st_mtime_ns)
    return found


def objects(s3):
    """Describe every object of every bucket."""
    client = s3.client
    return {
        f"{bucket['Name']}/{item['Key']}": (item["Size"], item["ETag"])
        for bucket in client.list_buckets()["Buckets"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"])
        for item in page.get("Contents", [])
    }


def documents(mongo):
    """Return everything that a database holds, as one text."""
    database = database_of(mongo)
    return "\n".join(repr(d) for name in database.list_collection_names() for d in database[name].find())
