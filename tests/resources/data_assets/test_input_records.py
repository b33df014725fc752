"""The metadata records of a job's inputs, from MongoDB and from the REST API."""

import pytest

from domain.errors import InputError, ServerUnavailableError
from resources.data_assets.input_records import records_of_inputs


def ids_of(assets, *urls, ids=()):
    return [record.record_id for record in records_of_inputs(assets, urls, ids=ids)]


def test_records_are_found_by_id_and_by_location_and_are_whole(assets):
    assert ids_of(assets, "s3://b/2", "s3://b/1/x.nwb", "s3://b/1/y.nwb") == ["2", "1", "1"]
    assert ids_of(assets, "s3://b/2", "s3://b/3", ids=["3"]) == ["2", "3"]
    assert ids_of(assets, "s3://moved/2", ids=["2"]) == ["2"]
    (one,) = records_of_inputs(assets, ["s3://b/1"], ids=[])
    assert one.document["big"] == "x" * 100


def test_an_input_without_a_record_is_named(assets):
    with pytest.raises(
        InputError, match=r"s3://b/9 has no metadata record: .*data_assets.* and the ids \$where, 8\. Register"
    ):
        ids_of(assets, "s3://b/1", "s3://b/9", ids=["$where", "8"])
    with pytest.raises(InputError, match=r"above it\. Register"):
        ids_of(assets, "s3://b")


def test_several_records_of_one_location_are_named(assets, collection):
    collection.insert_one({"_id": "again", "location": "s3://b/1/"})
    with pytest.raises(InputError, match=r"2 metadata records have the location s3://b/1: `1`; `again`"):
        ids_of(assets, "s3://b/1")
    assert ids_of(assets, "s3://b/1", "s3://b/2", ids=["again"]) == ["again", "2"]


@pytest.mark.parametrize(
    ("status", "expected", "message"),
    [(504, ServerUnavailableError, "Index the field `location`"), (400, InputError, "rejected it: told so")],
)
def test_a_slow_query_may_succeed_later_and_a_rejected_one_does_not(rest, api, status, expected, message):
    api.statuses = [status]
    with pytest.raises(expected, match=message):
        ids_of(rest, "s3://b/1")
