"""Records of data assets: one interface, MongoDB itself and the REST API over it."""

from datetime import UTC, datetime

import pytest
from bson import Decimal128, Int64, ObjectId

from domain.data_asset.record import asset_id_filter
from domain.errors import DispatchError, ServerUnavailableError, SettingsError
from resources.data_assets.records import MongoAssetRecords, plain
from resources.data_assets.records_rest import RestAssetRecords
from resources.mongo import MongoConnection

LIMIT = 20.0


def names(found):
    return sorted(record.name for record in found)


def test_records_are_counted_and_found(assets):
    query = {"s.k": {"$exists": True}}
    assert assets.count(query, time_limit_s=LIMIT) == 2
    assert assets.count({"name": "nobody"}, time_limit_s=LIMIT) == 0
    assert names(assets.find(query, fields=["s.k"], time_limit_s=LIMIT)) == ["three", "two"]


def test_only_the_wanted_fields_are_read(assets):
    found = {r.name: r.document for r in assets.find({}, fields=["s.k", "s.k.v", "s.k.0.v"], time_limit_s=LIMIT)}
    assert found["three"] == {"_id": "3", "name": "three", "location": "s3://b/3", "s": {"k": 2}}
    assert "big" not in found["one"]
    assert found["two"]["s"] == {"k": [{"v": 1}]}


def test_asset_ids_are_found_in_both_generations(assets):
    found = list(assets.find(asset_id_filter(["a", "b", "c"]), fields=[], time_limit_s=LIMIT))
    assert sorted(i for record in found for i in record.asset_ids) == ["a", "b"]


def test_what_fields_there_are_is_known(assets):
    assert assets.has_field("s.other", time_limit_s=LIMIT)
    assert not assets.has_field("s.nothing", time_limit_s=LIMIT)
    assert {"s.k.v", "s.other", "external_links.Code Ocean", "big"} <= assets.known_fields()


def test_a_query_that_the_database_refuses_is_reported_with_its_reason(assets):
    with pytest.raises(DispatchError, match=r"data_assets.* rejected it: .*unknown operator: \$nonsense"):
        assets.count({"a": {"$nonsense": 1}}, time_limit_s=LIMIT)
    with pytest.raises(DispatchError, match="rejected it"):
        list(assets.find({"a": {"$regex": "("}}, fields=[], time_limit_s=LIMIT))


def test_many_records_come_in_batches(assets, collection):
    collection.insert_many(
        [{"_id": f"m{i:03}", "name": f"m{i}", "location": f"s3://b/m{i}", "many": 1} for i in range(30)]
    )
    assert len(list(assets.find({"many": 1}, fields=[], time_limit_s=LIMIT))) == 30
    assert assets.count({"many": 1}, time_limit_s=LIMIT) == 30


def test_an_empty_collection_has_no_fields(assets, collection):
    collection.delete_many({})
    assert assets.known_fields() == set()
    assert not assets.has_field("_id", time_limit_s=LIMIT)


COUNTED = {"$range": [0, {"$add": [50_000, {"$strLenCP": "$name"}]}]}
SLOW = {"$expr": {"$gt": [{"$reduce": {"input": COUNTED, "initialValue": 0, "in": {"$add": ["$$value", 1]}}}, 0]}}


def test_a_slow_query_is_ended_by_the_database(mongo, collection):
    collection.insert_many([{"name": f"n{i}"} for i in range(300)])
    assets = MongoAssetRecords(mongo=mongo, name="data_assets")
    with pytest.raises(DispatchError, match=r"took longer than 0.05 s on the collection .*or raise `time_limit_s`"):
        assets.count(SLOW, time_limit_s=0.05)
    with pytest.raises(DispatchError, match="took longer than"):
        list(assets.find(SLOW, fields=[], time_limit_s=0.05))


def test_a_field_that_takes_too_long_to_look_for_is_believed(mongo, collection, rest, api):
    assets = MongoAssetRecords(mongo=mongo, name="data_assets")
    collection.insert_many([{"n": i} for i in range(30_000)])
    assert assets.has_field("nothing", time_limit_s=0.0001)
    api.delay_s = 0.5
    assert rest.has_field("nothing", time_limit_s=0.1)


def test_a_slow_api_is_not_waited_for(rest, api, collection):
    api.delay_s = 0.5
    with pytest.raises(DispatchError, match=r"took longer than 0.1 s on `.*data_assets` at http"):
        rest.count({}, time_limit_s=0.1)
    api.delay_s = 0
    api.statuses = [504]
    with pytest.raises(DispatchError, match="took longer"):
        rest.count({}, time_limit_s=LIMIT)


def test_an_answer_that_is_too_large_is_requested_in_smaller_parts(rest, api, collection):
    api.largest_answer = 150
    assert names(rest.find({}, fields=[], time_limit_s=LIMIT)) == ["one", "three", "two"]
    api.largest_answer = 10
    with pytest.raises(DispatchError, match=r"A record of .* is too large for the API"):
        list(rest.find({}, fields=[], time_limit_s=LIMIT))


def test_a_busy_api_is_queried_again(rest, api, collection):
    api.statuses = [503, 429]
    assert rest.count({}, time_limit_s=LIMIT) == 3
    api.statuses = [500] * 9
    with pytest.raises(ServerUnavailableError, match="is unavailable"):
        rest.count({}, time_limit_s=LIMIT)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_api_that_refuses_access_names_the_setting(rest, api, status):
    api.statuses = [status]
    with pytest.raises(SettingsError, match=rf"HTTP status {status}\). Check ASSETS_API_URL"):
        rest.count({}, time_limit_s=LIMIT)


def test_something_else_than_the_api_is_noticed(rest, api, serve_http):
    with serve_http(lambda _: (200, {"Content-Type": "application/json"}, b'{"no": "list"}')) as (address, _):
        other = RestAssetRecords(url=address, database="d", name="c")
        with pytest.raises(SettingsError, match="gave no list of records"):
            other.count({}, time_limit_s=LIMIT)
    with serve_http(lambda _: (200, {}, b"no json")) as (address, _):
        other = RestAssetRecords(url=address, database="d", name="c")
        with pytest.raises(ServerUnavailableError, match="did not answer"):
            other.count({}, time_limit_s=LIMIT)


def test_an_api_that_does_not_run_names_the_setting():
    rest = RestAssetRecords(url="http://127.0.0.1:9/v2", database="d", name="c", pause_s=0.01)
    with pytest.raises(ServerUnavailableError, match="Check ASSETS_API_URL"):
        rest.count({}, time_limit_s=LIMIT)


def test_only_reading_requests_are_sent(rest, api, collection):
    rest.count({}, time_limit_s=LIMIT)
    list(rest.find({}, fields=["s"], time_limit_s=LIMIT))
    rest.known_fields()
    rest.has_field("a", time_limit_s=LIMIT)
    assert {path.rpartition("/")[2] for path, _ in api.asked} == {"aggregate"}


def test_a_database_that_does_not_run_names_its_setting():
    uri = "mongodb://someone:the-password@127.0.0.1:9/?serverSelectionTimeoutMS=50"
    mongo = MongoConnection(uri=uri, database="d", setting="ASSETS_URI", attempts=1)
    assets = MongoAssetRecords(mongo=mongo, name="c")
    with pytest.raises(ServerUnavailableError, match="ASSETS_URI") as caught:
        assets.count({}, time_limit_s=LIMIT)
    assert "the-password" not in str(caught.value)
    mongo.close()


def test_values_of_the_database_become_plain_json():
    when = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    found = plain(
        {
            "id": ObjectId("0" * 24),
            "when": when,
            "naive": when.replace(tzinfo=None),
            "big": Int64(2**60),
            "small": Int64(3),
            "nan": float("nan"),
            "half": 0.5,
            "yes": True,
            "none": None,
            "list": (1, [Decimal128("1.5")]),
        }
    )
    assert found == {
        "id": "0" * 24,
        "when": "2025-01-02T03:04:05+00:00",
        "naive": "2025-01-02T03:04:05+00:00",
        "big": str(2**60),
        "small": 3,
        "nan": None,
        "half": 0.5,
        "yes": True,
        "none": None,
        "list": [1, ["1.5"]],
    }
    assert type(found["small"]) is int
