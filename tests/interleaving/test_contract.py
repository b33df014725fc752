"""The doubles answer as the real servers do: the same calls, in the same order, give the same answers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from botocore.exceptions import ClientError
from dagster._core.events import DagsterEventType
from dagster._core.test_utils import create_run_for_test
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.errors import DuplicateKeyError, WriteError

from engine.assets.runs import UNFINISHED, has_ended
from resources.s3.connection import S3Connection
from resources.s3.errors import etag_of, is_missing
from tests.interleaving.doubles_dagster import DagsterDouble, DagsterState
from tests.interleaving.doubles_mongo import MongoDouble, copied
from tests.interleaving.doubles_s3 import S3Double
from tests.interleaving.random_schedules import RandomChoice
from tests.interleaving.scenarios import SCENARIOS, TRIOS, Scenario
from tests.interleaving.schedules import Trial, explore
from tests.interleaving.servers_real import RealServers
from tests.interleaving.system import BUCKET, SPACES, current

NAMES = {space: name for name, space in SPACES.items()}
TIME = datetime(2026, 1, 1, tzinfo=UTC)
JOB = {
    "_id": "a/1",
    "state": "running",
    "number": 1,
    "lease": {"owner": "x", "until": TIME},
    "attempts": [{"attempt": "p", "outcome": None}, {"attempt": "q"}],
    "tags": ["red", "blue"],
    "flag": True,
}
OTHER = {"_id": "a/2", "state": "new", "number": 2.5, "lease": None, "attempts": [], "tags": [], "name": "b"}
FILTERS: list[dict[str, Any]] = [
    {},
    {"_id": "a/1"},
    {"_id": {"$in": ["a/1", "a/3"]}},
    {"state": {"$in": ["new", "done"]}},
    {"state": {"$nin": ["new"]}},
    {"state": {"$ne": "new"}},
    {"name": None},
    {"name": {"$ne": None}},
    {"lease": None},
    {"lease.owner": "x"},
    {"lease.owner": None},
    {"lease.owner": {"$gt": ""}},
    {"lease.until": {"$lt": datetime(2027, 1, 1, tzinfo=UTC)}},
    {"lease.until": {"$gte": datetime(2027, 1, 1, tzinfo=UTC)}},
    {"number": {"$gte": 1, "$lt": 2}},
    {"number": {"$lte": "1"}},
    {"number": 1.0},
    {"flag": 1},
    {"flag": True},
    {"tags": "red"},
    {"tags": ["red", "blue"]},
    {"tags.1": "blue"},
    {"tags.0": {"$exists": False}},
    {"tags": {"$ne": "red"}},
    {"attempts.attempt": "q"},
    {"attempts.attempt": {"$ne": "q"}},
    {"attempts.outcome": None},
    {"attempts": {"$elemMatch": {"attempt": "p", "outcome": None}}},
    {"attempts": {"$not": {"$elemMatch": {"attempt": "p"}}}},
    {"attempts": {"$elemMatch": {"attempt": {"$gt": "p"}}}},
    {"name": {"$exists": True}},
    {"$or": [{"state": "new"}, {"lease.owner": "x"}]},
    {"$nor": [{"state": "new", "number": 2.5}]},
    {"$and": [{"state": "new"}, {"number": {"$gt": 2}}]},
]
"""Every shape of filter that the platform uses, and their corners."""

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *(("find", (match,), {"sort": [("_id", 1)]}) for match in FILTERS),
    *(("count_documents", (match,), {}) for match in FILTERS),
    ("find", ({}, {"lease.owner": 1}), {"sort": [("number", -1)]}),
    ("find", ({}, ("attempts.attempt", "state")), {"sort": [("state", 1), ("_id", -1)]}),
    ("find", ({}, {"attempts.attempt": 0, "lease": 0}), {"sort": [("_id", 1)]}),
    ("find", ({}, {"_id": 0, "state": 1}), {"sort": [("_id", 1)]}),
    ("find", ({}, {"_id": 1}), {"sort": [("_id", -1)], "limit": 1}),
    ("find", ({}, None), {"sort": [("tags", -1)]}),
    ("count_documents", ({},), {"limit": 1}),
    ("distinct", ("lease.owner", {}), {}),
    ("distinct", ("tags", {"state": "running"}), {}),
    ("insert_one", (JOB,), {}),
    ("find_one_and_update", ({"_id": "a/1", "state": "done"}, {"$set": {"x": 1}}), {"return_document": True}),
    (
        "find_one_and_update",
        (
            {"_id": "a/1", "$or": [{"state": {"$in": ["new"]}}, {"state": "running", "lease.until": {"$lt": TIME}}]},
            {"$set": {"x": 1}},
        ),
        {"return_document": True},
    ),
    (
        "find_one_and_update",
        (
            {"_id": "a/1", "$or": [{"state": {"$in": ["running"]}}, {"state": "new"}]},
            {
                "$set": {"lease": {"owner": "y", "until": TIME}},
                "$inc": {"attempt_number": 1, "number": 2},
                "$push": {"attempts": {"$each": [{"attempt": "r"}], "$slice": -2}},
            },
        ),
        {"return_document": True},
    ),
    (
        "update_one",
        ({"_id": "a/1", "lease.owner": "y", "attempts.attempt": "r"}, {"$set": {"attempts.$.outcome": "done"}}),
        {},
    ),
    ("update_one", ({"_id": "a/1"}, {"$set": {"state": "running"}}), {}),
    ("update_one", ({"_id": "a/9"}, {"$set": {"state": "running"}}), {}),
    ("update_one", ({"_id": "a/9"}, {"$set": {"state": "new"}, "$setOnInsert": {"y": 1}}), {"upsert": True}),
    ("update_one", ({"_id": "a/9", "$nor": [{"state": "new"}]}, {"$set": {"state": "new"}}), {"upsert": True}),
    ("update_one", ({"_id": "a/2"}, {"$set": {"lease.until": TIME}}), {}),
    ("update_one", ({"_id": "a/2"}, {"$set": {"deep.er": TIME, "superseded.who": "x"}}), {}),
    ("update_one", ({"_id": "a/2"}, {"$unset": {"deep.er": ""}}), {}),
    ("update_many", ({"state": {"$ne": "done"}}, {"$set": {"state": "new"}, "$inc": {"requests": 1}}), {}),
    ("update_many", ({"state": "nowhere"}, {"$set": {"state": "new"}}), {}),
    ("replace_one", ({"_id": "a/2", "state": {"$in": ["new", "old"]}}, {"_id": "a/2", "state": "old"}), {}),
    ("replace_one", ({"_id": "a/2", "state": "new"}, {"_id": "a/2", "state": "old"}), {}),
    ("replace_one", ({"_id": "a/7"}, {"state": "old"}), {"upsert": True}),
    (
        "bulk_write",
        (
            [
                UpdateOne({"_id": "a/5"}, {"$setOnInsert": {"state": "new", "sources": ["s"]}}, upsert=True),
                UpdateOne({"_id": "a/5", "sources.1": {"$exists": False}}, {"$addToSet": {"sources": "s"}}),
                UpdateOne({"_id": "a/5", "sources.1": {"$exists": False}}, {"$addToSet": {"sources": "t"}}),
                UpdateOne({"_id": "a/5", "sources.1": {"$exists": False}}, {"$addToSet": {"sources": "u"}}),
                ReplaceOne({"_id": "a/6"}, {"state": "x"}, upsert=True),
                DeleteOne({"_id": "a/7"}),
            ],
        ),
        {"ordered": False},
    ),
    ("delete_one", ({"_id": "a/1", "lease.owner": "nobody"},), {}),
    ("delete_one", ({"_id": "a/1", "lease.owner": "y"},), {}),
    ("find", ({},), {"sort": [("_id", 1)]}),
]


def answered(collection: Any, operation: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return the answer of one call in a form that can be compared."""
    try:
        answer = getattr(collection, operation)(*arguments, **options)
    except (DuplicateKeyError, WriteError) as error:
        return type(error).__name__
    if operation == "find":
        found = list(answer)
        return found if options.get("sort") else sorted(found, key=lambda d: str(d.get("_id", d)))
    if operation == "distinct":
        return sorted(answer)
    if answer is None or isinstance(answer, dict | int):
        return answer
    names = ("matched_count", "modified_count", "deleted_count", "upserted_count", "inserted_id")
    return {name: getattr(answer, name) for name in names if hasattr(answer, name)}


@pytest.fixture
def real(docdb_uri: str, s3: S3Connection) -> Iterator[RealServers]:
    """Give real servers that hold nothing."""
    servers = RealServers(docdb_uri, s3)
    servers.clear()
    yield servers
    servers.clear()


def test_every_shape_of_call_is_answered_as_by_a_real_mongodb(real: RealServers) -> None:
    double, there = MongoDouble().collection("results"), real.collection("results")
    for collection in (double, there):
        for document in (JOB, OTHER):
            collection.insert_one(copied(document))
    for operation, arguments, options in CALLS:
        mine, theirs = (answered(c, operation, arguments, dict(options)) for c in (double, there))
        assert mine == theirs, (operation, arguments, options)


def test_an_operator_that_the_double_does_not_know_is_an_error() -> None:
    collection = MongoDouble().collection("results")
    collection.insert_one({"_id": 1, "x": 1})
    for act in (
        lambda: collection.find({"$where": "true"}),
        lambda: collection.find({"x": {"$mod": [2, 1]}}),
        lambda: collection.update_one({"_id": 1}, {"$rename": {"x": "y"}}),
        lambda: collection.find({}, collation={}),
    ):
        with pytest.raises((NotImplementedError, KeyError)):
            act()


@pytest.mark.parametrize("scenario", [*SCENARIOS, *TRIOS], ids=lambda scenario: scenario.name)
def test_the_calls_of_schedules_are_answered_as_by_a_real_mongodb(
    scenario: Scenario, lab: Path, real: RealServers
) -> None:
    trial = Trial(scenario, lab)
    before = copied_documents(trial)
    trial.start.keeps_calls = True
    trial.run_with(lambda scheduler: RandomChoice(len(scenario.name), scheduler, times=1))
    calls, double = list(current().calls), MongoDouble()
    assert calls
    for name, documents in before.items():
        double.collection(name).documents.update({d["_id"]: d for d in documents})
        if documents:
            real.collection(name).insert_many(documents)
    for space, operation, arguments, options in calls:
        collections = double.collection(NAMES[space]), real.collection(NAMES[space])
        mine, theirs = (answered(c, operation, arguments, options) for c in collections)
        assert mine == theirs, (space, operation, arguments)


def copied_documents(trial: Trial) -> dict[str, list[dict[str, Any]]]:
    """Return the documents with which schedules begin."""
    return {name: [copied(d) for d in found] for name, found in trial.start.servers.dump().documents.items()}


Answer = Callable[[Any], Any]
OBJECTS: list[tuple[str, Answer]] = [
    ("head of nothing", lambda c: c.head_object(Bucket=BUCKET, Key="r/a/x")["ContentLength"]),
    ("get of nothing", lambda c: c.get_object(Bucket=BUCKET, Key="r/a/x")["Body"].read()),
    ("empty listing", lambda c: listed(c, Prefix="r/")),
    ("delete of nothing", lambda c: c.delete_object(Bucket=BUCKET, Key="r/a/x").get("Errors")),
    ("put", lambda c: c.put_object(Bucket=BUCKET, Key="r/a/x", Body=b"1", ContentType="text/plain")["ETag"]),
    ("put deeper", lambda c: c.put_object(Bucket=BUCKET, Key="r/a/y/z", Body=b"22")["ETag"]),
    ("put beside", lambda c: c.put_object(Bucket=BUCKET, Key="r/b/x", Body=b"")["ETag"]),
    ("put again", lambda c: c.put_object(Bucket=BUCKET, Key="r/a/x", Body=b"333")["ETag"]),
    ("head", lambda c: c.head_object(Bucket=BUCKET, Key="r/a/x")["ContentLength"]),
    ("get", lambda c: c.get_object(Bucket=BUCKET, Key="r/a/x")["Body"].read()),
    ("pieces", lambda c: b"".join(c.get_object(Bucket=BUCKET, Key="r/a/x")["Body"].iter_chunks(1))),
    ("listing", lambda c: listed(c, Prefix="r/")),
    ("listing of a folder", lambda c: listed(c, Prefix="r/a/")),
    ("folders", lambda c: listed(c, Prefix="r/", Delimiter="/")),
    ("whole listing", lambda c: listed(c, Prefix="")),
    (
        "delete of several",
        lambda c: c.delete_objects(
            Bucket=BUCKET, Delete={"Objects": [{"Key": "r/a/x"}, {"Key": "no"}], "Quiet": True}
        ).get("Errors"),
    ),
    ("get of what is deleted", lambda c: c.get_object(Bucket=BUCKET, Key="r/a/x")["Body"].read()),
    ("delete", lambda c: c.delete_object(Bucket=BUCKET, Key="r/b/x").get("Errors")),
    ("listing of the rest", lambda c: listed(c, Prefix="r/")),
]


def listed(client: Any, **arguments: Any) -> Any:
    """List objects."""
    answer = client.list_objects_v2(Bucket=BUCKET, **arguments)
    contents = [(item["Key"], item["Size"], etag_of(item)) for item in answer.get("Contents", [])]
    return contents, [folder["Prefix"] for folder in answer.get("CommonPrefixes", [])], answer["IsTruncated"]


def said(answer: Answer, client: Any) -> Any:
    """Return an answer, or that there is no such object."""
    try:
        return answer(client)
    except ClientError as error:
        return "missing" if is_missing(error) else str(error)


def test_every_request_is_answered_as_by_a_real_s3(real: RealServers, tmp_path: Path) -> None:
    double = S3Double(lambda: TIME)
    for name, answer in OBJECTS:
        assert said(answer, double) == said(answer, real.client), name
    for client in (double, real.client):
        client.download_file(BUCKET, "r/a/y/z", str(tmp_path / "z"))
        assert (tmp_path / "z").read_bytes() == b"22"


KEY = dg.AssetKey(["analysis", "counted"])


def answers_of(instance: Any, start: Callable[[str, dict[str, str]], str]) -> Iterator[Any]:
    """Yield what an instance answers."""
    yield instance.get_dynamic_partitions("counted")
    instance.add_dynamic_partitions("counted", ["b", "a"])
    instance.add_dynamic_partitions("counted", ["a", "c"])
    yield instance.get_dynamic_partitions("counted")
    instance.delete_dynamic_partition("counted", "a")
    yield instance.get_dynamic_partitions("counted")
    runs = [start("counted_batch", {"x": "1"}), start("counted_batch", {})]
    yield [runs.index(run.run_id) for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))]
    yield [has_ended(instance, run) for run in (*runs, "8e0c6f0e-6c38-4f3a-a4c5-4a4c6f5a2c11")]
    instance.add_run_tags(runs[0], {"y": "2"})
    yield {name: instance.get_run_by_id(runs[0]).tags.get(name) for name in "xy"}
    instance.report_run_failed(instance.get_run_by_id(runs[0]), "ended")
    yield [has_ended(instance, run) for run in runs]
    yield [run.run_id in runs for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.CANCELED]))]
    yield len(instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])))
    for number, partition in enumerate(("b", "c", "b")):
        event = dg.AssetMaterialization(KEY, partition=partition, metadata={"n": number})
        instance.report_runless_asset_event(event)
    yield instance.get_materialized_partitions(KEY)
    storage, kind = instance.event_log_storage, DagsterEventType.ASSET_MATERIALIZATION
    latest = dict(storage.get_latest_storage_id_by_partition(KEY, kind, {"b", "c", "d"}))
    yield sorted(latest), latest["b"] > latest["c"]
    wanted = dg.AssetRecordsFilter(asset_key=KEY, storage_ids=sorted(latest.values()))
    yield sorted(one.partition_key for one in instance.fetch_materializations(wanted, limit=5).records)


def test_every_call_is_answered_as_by_a_real_dagster() -> None:
    double = DagsterDouble(DagsterState())

    def start_in_double(job: str, tags: dict[str, str]) -> str:
        run_id = f"run-{len(double.state.runs)}"
        double.create(job, run_id, tags, dg.DagsterRunStatus.STARTED)
        return run_id

    with dg.DagsterInstance.ephemeral() as instance:

        def start(job: str, tags: dict[str, str]) -> str:
            run = create_run_for_test(instance, job_name=job, tags=tags, status=dg.DagsterRunStatus.STARTED)
            return str(run.run_id)

        for mine, theirs in zip(answers_of(double, start_in_double), answers_of(instance, start), strict=True):
            assert mine == theirs


def test_an_exploration_is_the_same_every_time(lab: Path) -> None:
    first, second = ([s.name for s in islice(explore(SCENARIOS[1], lab), 10)] for _ in range(2))
    assert first == second
