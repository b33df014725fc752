"""Whatever is given to a dispatch, or found in metadata records: it is planned or refused, and a query only ever reads assets."""

import csv
import json
import time
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dispatch.model.csv_files import read_asset_csv
from dispatch.model.options import read_options
from dispatch.planning import Planning
from dispatch.saved import read_saved, saved_path
from dispatch.services import DispatchServices
from dispatch.writing import write_plan
from domain.data_asset.query import REFUSED, check_query, parse_query
from domain.data_asset.record import AssetRecord, paths_of, value_at
from domain.errors import DispatchError, PermanentError
from engine.discovery.analyses import load_analysis
from resources.data_assets.records import MongoAssetRecords, plain
from resources.inbox.job_inbox import JobInbox
from resources.inputs.resource import Inputs
from resources.mongo import MongoConnection
from tests.hostile import strategies
from tests.hostile.conftest import LAB
from tests.hostile.sizes import fuzz
from tests.hostile.watching import ASSETS, objects, tree

REFUSALS = (PermanentError,)


@pytest.fixture(scope="module")
def services(make_harness, mongo, s3, yard):
    """Give what a dispatch needs, over a database of hostile records."""
    harness = make_harness(JobInbox(s3=s3, root=str(yard / "dispatched")))
    return DispatchServices(
        assets=MongoAssetRecords(mongo=mongo, name=ASSETS),
        inbox=harness.stores.inbox,
        notes=harness.stores.notes,
        ledger=harness.stores.ledger,
        results=harness.stores.records,
        inputs=Inputs(s3=s3),
    )


@pytest.fixture(scope="module")
def collection(mongo, docdb_uri):
    """Give the records of assets, as others write them: past what is watched."""
    return MongoConnection(uri=docdb_uri, database=mongo.database).collection(ASSETS).raw


def planned(services, **options):
    """Plan a dispatch."""
    entry = load_analysis(LAB / "double.py")
    return Planning(
        entry, read_options({"check_inputs": "none", "time_limit_s": 5, **options}), services, lambda *_: None
    ).plan()


CSVS = {
    "empty": "",
    "commas": "asset_id" + "," * 3_000_000 + "\n" + "," * 3_000_000,
    "lines": "asset_id\n" * 300_000,
    "quotes": 'asset_id\n"' + "x" * 10_000_000,
    "many quotes": 'asset_id\n"' + '""' * 1_000_000,
    "a wide field": "asset_id\n" + "x" * 10_000_000,
    "NUL": "asset_id\n\0\n",
    "surrogates": "asset_id\n\ud800\n",
    "formula": "asset_id\n=cmd|'/c calc'!A1\n",
    "operators": 'asset_id\n{"$gt": ""}\n$where\n',
    "returns": "asset_id\rx\ry\r",
    "marks of other alphabets": "asset_id\u2028x\u2029y\x85z\x0b",
}


@pytest.mark.parametrize("name", CSVS)
def test_a_csv_is_read_within_bounds_or_refused(name):
    begin = time.process_time()
    try:
        found = read_asset_csv(CSVS[name])
    except DispatchError as error:
        assert len(str(error)) < 2000
    else:
        assert found == list(dict.fromkeys(found))
        assert all(isinstance(i, str) and i == i.strip() and i for i in found)
    assert time.process_time() - begin < 20
    assert csv.field_size_limit() == 131072


@fuzz(100)
@given(st.text(max_size=200) | st.lists(strategies.texts, max_size=8).map(lambda ids: "asset_id\n" + "\n".join(ids)))
def test_any_csv_is_a_list_of_ids_or_refused(text):
    try:
        assert read_asset_csv(text)
    except DispatchError as error:
        assert len(str(error)) < 2000


queries = st.recursive(
    strategies.scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "$or",
                    "$and",
                    "$in",
                    "$gt",
                    "$not",
                    "$elemMatch",
                    "$regex",
                    "$expr",
                    "$where",
                    "$WHERE",
                    "$function",
                    "name",
                ]
            )
            | strategies.texts,
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@fuzz(60)
@given(query=queries)
@example(query={"$where": "sleep(100000)"})
@example(query={"a": {"$not": {"$elemMatch": {"$where": "1"}}}})
@example(query={"$expr": {"$function": {"body": "function(){}", "args": [], "lang": "js"}}})
@example(query={"$or": []})
@example(query={"name": {"$regex": "(a+)+$"}})
@example(query={"": 1, ".": {"$exists": True}})
def test_any_query_reads_assets_or_is_refused(services, query):
    try:
        planned(services, query=json.dumps(query))
    except REFUSALS as error:
        assert "Traceback" not in str(error)


@fuzz(200)
@given(query=queries)
def test_no_query_with_code_passes(query):
    if not isinstance(query, dict):
        return
    try:
        check_query(query)
    except DispatchError:
        return
    text = json.dumps(query).lower()
    assert not [name for name in REFUSED if f'"{name}":' in text]


def test_queries_too_deep_or_too_large_are_refused():
    for text in (
        '{"$or":[' * 10_000,
        '{"a":"' + "x" * 10_000_000 + '"}',
        '{"a":1,"a":2}',
        '{"a":NaN}',
        "[]",
        '{"a":"\\ud800"}',
    ):
        with pytest.raises(DispatchError):
            parse_query(text)


@fuzz(80)
@given(
    options=st.dictionaries(
        st.sampled_from(
            [
                "query",
                "asset_csv",
                "asset_ids",
                "records",
                "file_extension",
                "group_by",
                "group_parameters",
                "filter_latest",
                "filter_by",
                "unwind_list_fields",
                "parameters",
                "set_values",
                "sweep",
                "max_jobs",
                "$gt",
                "docdb_query",
            ]
        ),
        strategies.values | st.lists(strategies.texts, max_size=3) | strategies.texts,
        max_size=4,
    )
)
@example(options={"asset_ids": ["\ud800"]})
@example(options={"records": ["\ud800"]})
@example(options={"records": ["s3://someone@evil/\0", "../x", "$gt"]})
@example(options={"query": "{}", "group_by": ["$where", "a\0b", "\ud800", "a..b"]})
@example(options={"query": "{}", "group_by": ["\ud800"]})
@example(options={"query": "{}", "sweep": '{"number": {"start": 0, "stop": 1e308, "step": 1e-308}}'})
@example(options={"query": "{}", "file_extension": "[" * 1000})
def test_any_options_are_planned_or_refused(services, options):
    try:
        planned(services, **options)
    except REFUSALS as error:
        assert len(str(error)) < 50_000


anything = strategies.bson("ab_")


@fuzz(60)
@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "name": anything | st.sampled_from(["../../x", "a\0b", "x" * 100_000]),
            "location": anything
            | st.sampled_from(
                ["s3://u:p@b/x", "file:///etc/passwd", "s3://b/../x", "/etc/passwd", "s3://b/" + "x" * 100_000]
            ),
            "external_links": anything | st.just({"Code Ocean": [{"$gt": 1}, "a"]}),
            "other_identifiers": anything,
            "subject": anything,
            "group": anything,
        },
    ),
    options=st.sampled_from(
        [
            {},
            {"group_by": ["group"]},
            {"filter_latest": "subject", "filter_by": ["group"]},
            {"unwind_list_fields": ["group"]},
            {"group_by": ["group"], "group_parameters": ["group=number"]},
        ]
    ),
)
def test_any_metadata_record_is_planned_or_passed_over(services, collection, yard, s3, fields, options):
    record = uuid.uuid4().hex
    collection.insert_one({"_id": record, **fields})
    outside = {
        path: facts
        for path, facts in tree(yard).items()
        if "/dispatched/" not in path and not path.endswith("/dispatched")
    }
    try:
        plan = planned(services, query="{}", **options)
        written = write_plan(plan, services, progress=lambda *_: None)
        assert written.files == len(plan.jobs)
        now = tree(yard)
        assert {path: facts for path, facts in now.items() if path in outside} == outside
        assert not [path for path in now if path not in outside and "/dispatched" not in path]
    except REFUSALS as error:
        assert len(str(error)) < 50_000
    finally:
        collection.delete_one({"_id": record})


@fuzz(100)
@given(value=anything, path=st.text("ab_.0", max_size=8))
def test_any_document_can_be_looked_into(value, path):
    document = value if isinstance(value, dict) else {"a": value}
    assert json.dumps(plain(document), allow_nan=False)
    value_at(document, path)
    AssetRecord.of(plain(document))
    assert set(paths_of(document)) is not None


SAVED = {
    "empty": b"",
    "deep": b"[" * 10_000,
    "large": b" " * 10_000_000,
    "operators": b'{"analysis": {"$gt": ""}, "cron": "* * * * *", "options": {}}',
    "cron": json.dumps({"analysis": "double", "cron": "* " * 100_000, "options": {"query": "{}"}}).encode(),
    "times": json.dumps(
        {"analysis": "double", "cron": "* * * * *", "timezone": "../../etc/passwd", "options": {"query": "{}"}}
    ).encode(),
    "surrogates": b'{"analysis": "double", "cron": "* * * * *", "options": {"query": "{}", "asset_ids": ["\\ud800"]}}',
    "code": json.dumps({"analysis": "double", "cron": "* * * * *", "options": {"query": {"$where": "1"}}}).encode(),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_dispatch_that_cannot_be_used_says_why(tmp_path, name):
    path = tmp_path / "x.json"
    path.write_bytes(SAVED[name])
    with pytest.raises(DispatchError) as raised:
        read_saved(path, analyses=["double"])
    assert len(str(raised.value)) < 300_000


@fuzz(60)
@given(strategies.job_files)
def test_any_saved_dispatch_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("saved") / "x.json"
    path.write_bytes(data)
    with pytest.raises(DispatchError):
        read_saved(path, analyses=["double"])


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/b", "", ".", "..", "a\0", "a\nb", "x" * 300, "\ud800", "a.json", "C:x"]
)
def test_a_dispatch_is_saved_below_its_folder_alone(tmp_path, name):
    with pytest.raises(DispatchError):
        saved_path(tmp_path, name)


def test_nothing_is_written_to_s3_by_planning(services, s3):
    before = objects(s3)
    with pytest.raises(DispatchError):
        planned(services, query='{"$where": "1"}')
    assert objects(s3) == before
