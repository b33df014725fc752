"""The policies in `deploy/` are enough for the main path, and allow nothing that it does not need."""

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase

import dagster as dg
import pytest
from botocore.exceptions import ClientError
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from domain.errors import SettingsError
from domain.job.state import JobState
from operations.platform import open_platform
from resources.connections import connect
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection, close_client
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from resources.s3.connection import S3Connection
from resources.settings import Settings, load_settings
from results import Results
from results.summaries import results_of
from tests.commands_seen import listening
from tests.deploy import guarded
from tests.deploy.guarded import ACTION_OF_REQUEST, INBOX, INPUTS, NAME, RESULTS, ROLES, Asked, GuardedS3, Walk, policy
from tests.lab_workspace import LAB
from tests.secure_servers import ROOT_PASSWORD, as_root, serving

USERS = {"platform": "analysisPlatform", "reader": "analysisReader", "assets": "assetsReader"}
ROLE = {role["createRole"]: role for role in ROLES}
FILES = sorted(guarded.DEPLOY.glob("s3-*.json"))


@dataclass
class Walked:
    """What is left of a walk over the main path."""

    s3: GuardedS3
    host: str
    asked: dict
    requested: dict
    keys: list


@pytest.fixture(scope="module")
def mongo_host(tmp_path_factory):
    """Run a mongod with the roles of `deploy/`, one user for each, and some records of assets."""
    with serving(tmp_path_factory.mktemp("guarded-mongo"), "mongo", "--auth") as host:
        with as_root(host) as root:
            for command in ROLES:
                root.admin.command(command)
            for user, role in USERS.items():
                root.admin.command("createUser", user, pwd=f"{user}-pw", roles=[role])
            assets = [{"_id": n, "name": n, "location": f"s3://{INPUTS}/{n}", "kind": "ephys"} for n in ("one", "two")]
            root.metadata_index.data_assets.insert_many(assets)
            root.theirs.secrets.insert_one({"_id": 1})
        yield host


def uri(host, user):
    return f"mongodb://{user}:{user}-pw@{host}/"


@pytest.fixture(scope="module")
def walked(mongo_host, tmp_path_factory):
    """Walk over the main path with the rights of the platform, and note what it requests."""
    asked, requested, home = Asked(), defaultdict(set), tmp_path_factory.mktemp("guarded")
    with pytest.MonkeyPatch.context() as patch, guarded.guarded_s3() as s3, dg.DagsterInstance.ephemeral() as instance:
        for asset in ("one", "two"):
            s3.client("admin").put_object(Bucket=INPUTS, Key=f"{asset}/{asset}.nwb", Body=b"nwb")
        settings = _settings(patch, mongo_host, s3, home)
        with listening(asked, uri(mongo_host, "platform")), open_platform(settings, folder=LAB) as platform:
            client = platform.connections.results_store.s3.client
            client.meta.events.register("before-parameter-build.s3", _note(requested))
            walk = Walk(platform, s3, instance)
            walk.go()
            done = walk.done()
        yield Walked(s3, mongo_host, asked.actions, requested, done)
        for user in ("platform", "assets"):
            close_client(uri(mongo_host, user))


def _settings(patch, host, s3, home):
    """Set the environment of the platform, and read it."""
    key, secret = s3.keys["platform"]
    variables = {
        "ANALYSIS_HOME": home,
        "ANALYSIS_BUCKET": f"{RESULTS}/analysis",
        "JOB_INBOX": f"s3://{INBOX}/inbox",
        "DOCDB_URI": uri(host, "platform"),
        "ASSETS_URI": uri(host, "assets"),
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name in Settings.model_fields:
        patch.delenv(name.upper(), raising=False)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        patch.delenv(name, raising=False)
    for name, value in variables.items():
        patch.setenv(name, str(value))
    (home / "dagster").mkdir()
    (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return load_settings(env_file=home / "no.env")


def _note(requested):
    """Return what notes each request to S3, by bucket and first parts of the key."""

    def note(params, model, **_):
        place = params["Bucket"]
        if key := params.get("Key") or next(iter(params.get("Delete", {}).get("Objects", [{}]))).get("Key"):
            place += f"/{key}"
        requested[ACTION_OF_REQUEST[model.name]].add(place)

    return note


# -- MongoDB -----------------------------------------------------------------------------------------------------


def granted(role):
    """Return what a role allows, by collection."""
    return {f"{p['resource']['db']}.{p['resource']['collection']}": set(p["actions"]) for p in ROLE[role]["privileges"]}


def test_the_roles_of_mongodb_allow_exactly_what_the_main_path_asks_for(walked):
    assets = granted("assetsReader")
    assert {place: found for place, found in walked.asked.items() if place not in assets} == granted("analysisPlatform")
    assert {place: found for place, found in walked.asked.items() if place in assets} == assets


def test_the_roles_name_the_default_places_of_the_settings():
    defaults = {name: Settings.model_fields[name].default for name in ("docdb_database", "docdb_collection")}
    database, collection = defaults.values()
    named = {place.partition(".")[::2] for role in ROLE for place in granted(role) if role != "assetsReader"}
    assert {(d, c.partition("_")[0]) for d, c in named} == {(database, collection)}
    assert list(granted("assetsReader")) == [f"metadata_index.{Settings.model_fields['assets_collection'].default}"]


@pytest.mark.parametrize("place", list(granted("analysisPlatform")))
def test_a_platform_that_may_not_read_a_collection_says_so(walked, place):
    database, collection = place.split(".")
    with MongoClient(f"mongodb://root:{ROOT_PASSWORD}@{walked.host}/") as root:
        root.admin.command(
            "revokePrivilegesFromRole",
            "analysisPlatform",
            privileges=[{"resource": {"db": database, "collection": collection}, "actions": ["find"]}],
        )
        try:
            mongo = MongoConnection(uri=uri(walked.host, "platform"), database=database)
            things = mongo.collection(collection)
            with pytest.raises(SettingsError) as caught:
                things.find_one({"private": "text"})
        finally:
            root.admin.command("updateRole", "analysisPlatform", privileges=ROLE["analysisPlatform"]["privileges"])
    assert f"may not `find` the collection `{collection}`. Its role is in deploy/mongodb-roles.json." in str(
        caught.value
    )
    assert "private" not in str(caught.value)


FORBIDDEN = {
    "read another database": lambda c: c.theirs.secrets.find_one(),
    "read another collection": lambda c: c.analysis.other.find_one(),
    "write another collection": lambda c: c.analysis.other.insert_one({}),
    "drop the records": lambda c: c.analysis.results.drop(),
    "drop the database": lambda c: c.drop_database("analysis"),
    "rename a collection": lambda c: c.analysis.results.rename("other"),
    "drop an index": lambda c: c.analysis.results_jobs.drop_index("analysis_1"),
    "remove jobs": lambda c: c.analysis.results_jobs.delete_many({}),
    "remove history": lambda c: c.analysis.results_superseded.delete_many({}),
    "change assets": lambda c: c.metadata_index.data_assets.update_many({}, {"$set": {"a": 1}}),
    "make a user": lambda c: c.admin.command("createUser", "x", pwd="x", roles=[]),  # noqa: S106 - made up
    "give itself a role": lambda c: c.admin.command("grantRolesToUser", "platform", roles=["root"]),
    "stop the server": lambda c: c.admin.command("shutdown"),
    "evaluate code": lambda c: c.analysis.results.find_one({"$where": "sleep(1)"}) or c.analysis.command("eval", "1"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_platform_may_do_nothing_else_in_mongodb(walked, what):
    with MongoClient(uri(walked.host, "platform")) as client, pytest.raises(OperationFailure) as caught:
        FORBIDDEN[what](client)
    assert caught.value.code in {13, 59}, caught.value  # Unauthorized, CommandNotFound


@pytest.fixture
def reading(walked):
    """Connect as a person who may only read; closed at the end, as the next test begins without any index made."""
    mongo = MongoConnection(uri=uri(walked.host, "reader"), database="analysis")
    yield mongo
    mongo.close()


def test_a_person_who_only_reads_sees_results_and_changes_nothing(walked, reading):
    records, ledger = RecordStore(mongo=reading, name="results"), Ledger(mongo=reading, records_name="results")
    assert len(results_of(records, NAME, code_version="1")) == 5
    (replaced, *_) = records.superseded(NAME)
    assert ledger.jobs.counts(NAME)[JobState.DONE] == 5
    assert ledger.jobs.get(NAME, walked.keys[0]).state is JobState.DONE
    with pytest.raises(SettingsError, match="may not `insert` the collection `results_superseded`"):
        records.invalidate({**replaced, "_id": "x"}, who="me", reason="none")


def test_who_may_not_make_an_index_that_is_missing_is_reported(reading):
    reading.collection("results_inbox", indexes=(("analysis", "refused"),))
    with pytest.raises(SettingsError, match="may not `createIndexes` the collection `results_jobs`"):
        reading.collection("results_jobs", indexes=(("nowhere",),))


# -- S3 ----------------------------------------------------------------------------------------------------------


def pairs(name):
    """Return every action and resource that an S3 policy names."""
    return [(a, r) for s in policy(name)["Statement"] for a in s["Action"] for r in s["Resource"]]


def test_the_s3_policy_of_the_platform_names_nothing_that_the_main_path_does_not_ask_for(walked):
    for action, resource in pairs("platform"):
        pattern = resource.removeprefix("arn:aws:s3:::")
        assert any(fnmatchcase(place, pattern) for place in walked.requested[action]), (action, resource)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_s3_policy_allows_nothing_before_its_places_are_filled_in(file):
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["Version"] == "2012-10-17"
    resources = [resource for statement in document["Statement"] for resource in statement["Resource"]]
    assert all(re.fullmatch(r"arn:aws:s3:::<[a-z-]+>(/.+)?", resource) for resource in resources)
    page = (guarded.DEPLOY.parent / "docs" / "real-servers.md").read_text(encoding="utf-8")
    assert all(f"`{place}`" in page for place in re.findall("<.*?>", file.read_text(encoding="utf-8")))


def put(bucket, key):
    return lambda s3: s3.put_object(Bucket=bucket, Key=key, Body=b"x")


def get(bucket, key):
    return lambda s3: s3.get_object(Bucket=bucket, Key=key)


def delete(bucket, key):
    return lambda s3: s3.delete_object(Bucket=bucket, Key=key)


FORBIDDEN_IN_S3 = {
    "platform": {
        "delete a bucket": lambda s3: s3.delete_bucket(Bucket=RESULTS),
        "make a bucket": lambda s3: s3.create_bucket(Bucket="another"),
        "open a bucket to others": lambda s3: s3.put_bucket_policy(Bucket=RESULTS, Policy="{}"),
        "open an object to others": lambda s3: s3.put_object_acl(Bucket=RESULTS, Key="analysis/x", ACL="public-read"),
        "list all buckets": lambda s3: s3.list_buckets(),
        "write inputs": put(INPUTS, "one/one.nwb"),
        "delete inputs": delete(INPUTS, "one/one.nwb"),
        "delete in the inbox": delete(INBOX, f"inbox/{NAME}/0.json"),
        "write over a dispatcher's file": put(INBOX, f"inbox/{NAME}/0.json"),
        "write fixed parameters": put(INBOX, f"inbox/{NAME}/analysis_parameters.json"),
        "write beside the results": put(RESULTS, "elsewhere/x"),
        "read beside the results": get(RESULTS, "elsewhere/x"),
    },
    "dispatcher": {
        "read the inbox": get(INBOX, f"inbox/{NAME}/0.json"),
        "list the inbox": lambda s3: s3.list_objects_v2(Bucket=INBOX),
        "delete in the inbox": delete(INBOX, f"inbox/{NAME}/0.json"),
        "write beside the inbox": put(INBOX, "elsewhere/x"),
        "write results": put(RESULTS, "analysis/x"),
        "read results": get(RESULTS, "analysis/x"),
    },
    "reader": {
        "write results": put(RESULTS, "analysis/x"),
        "delete results": delete(RESULTS, "analysis/x"),
        "read the inbox": get(INBOX, f"inbox/{NAME}/0.json"),
        "read inputs": get(INPUTS, "one/one.nwb"),
    },
}


@pytest.mark.parametrize(("user", "what"), [(user, what) for user, all_ in FORBIDDEN_IN_S3.items() for what in all_])
def test_a_user_may_do_nothing_else_in_s3(walked, user, what):
    with pytest.raises(ClientError) as caught:
        FORBIDDEN_IN_S3[user][what](walked.s3.client(user))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_batch_of_deletions_does_not_reach_the_inbox(walked):
    key = f"inbox/{NAME}/0.json"
    answer = walked.s3.client("platform").delete_objects(Bucket=INBOX, Delete={"Objects": [{"Key": key}]})
    assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
    walked.s3.client("admin").head_object(Bucket=INBOX, Key=key)


def test_a_person_who_only_reads_downloads_results(walked):
    s3 = walked.s3.client("reader")
    found = [item["Key"] for item in s3.list_objects_v2(Bucket=RESULTS, Prefix="analysis/")["Contents"]]
    (file, *_) = [key for key in found if key.endswith("/double.txt")]
    assert s3.get_object(Bucket=RESULTS, Key=file)["Body"].read().endswith(b"\n")


def test_a_person_who_only_reads_finds_and_opens_results_from_python(walked, reading, monkeypatch, tmp_path):
    key, secret = walked.s3.keys["reader"]
    for name, value in {"ACCESS_KEY_ID": key, "SECRET_ACCESS_KEY": secret, "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    settings = Settings(
        analysis_home=tmp_path,
        analysis_bucket=f"{RESULTS}/analysis",
        docdb_uri=reading.uri,
        aws_endpoint_url=walked.s3.url.replace("127.0.0.1", "localhost"),  # the client of that address has other keys
    )
    with Results(settings) as results:
        found = results.find(NAME, state=["done", "outdated", "superseded", "failed"], current_code_version="1")
        assert len(found.to_pandas()) == len(found) > 5
        (result, *_) = results.find(NAME, current_code_version="1")
        assert result.path("double.txt").read_bytes().endswith(b"\n")
        assert result.record()["_id"] == results.get(result.result_id).result_id
    with pytest.raises(SettingsError, match="denied access"):
        connect(settings).results_store.put_bytes(result.location, "x.txt", b"x")


def test_a_refusal_of_s3_names_what_was_tried(walked, monkeypatch):
    key, secret = walked.s3.keys["reader"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = ResultsStore(
        s3=S3Connection(endpoint_url=walked.s3.url, region_name="eu-west-1"), root=f"{RESULTS}/analysis"
    )
    place = store.location("0" * 64, "7f3c1b1e-8f5e-4c1e-9a6e-2d3f4a5b6c7d")
    with pytest.raises(SettingsError, match=rf"Cannot upload x.txt to {place}: .* denied access \(AccessDenied\)"):
        store.put_bytes(place, "x.txt", b"x")
