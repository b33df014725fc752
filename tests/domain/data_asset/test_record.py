"""Records of every generation, read as plain documents."""

import json

import pytest

from domain.data_asset.record import AssetRecord, asset_id_filter, is_null, order_of, paths_of, unwound, value_at
from tests.real_data import REAL_DATA, needs_real_data

RECORDS = REAL_DATA / "records"
V1 = {"_id": "1", "name": "one", "location": "s3://b/one", "external_links": {"Code Ocean": ["id-1", "id-2"]}}
V2 = {"_id": "2", "name": "two", "location": "s3://b/two", "other_identifiers": {"Code Ocean": ["id-3"]}}


@pytest.mark.parametrize(
    ("document", "ids"),
    [
        (V1, ("id-1", "id-2")),
        (V2, ("id-3",)),
        ({**V2, "external_links": {"Code Ocean": ["id-0"]}}, ("id-0", "id-3")),
        ({"external_links": [{"Code Ocean": "early"}]}, ("early",)),
        ({"external_links": []}, ()),
        ({"external_links": {"Code Ocean": [None, "", 3]}, "other_identifiers": None}, ()),
        ({"other_identifiers": {"Other": ["x"]}}, ()),
    ],
)
def test_asset_ids_are_found_at_both_of_their_places(document, ids):
    assert AssetRecord.of(document).asset_ids == ids


def test_the_filter_for_asset_ids_looks_at_both_places():
    places = [list(part) for part in asset_id_filter(["a"])["$or"]]
    assert places == [["external_links.Code Ocean"], ["other_identifiers.Code Ocean"]]


def test_a_record_without_name_is_called_like_the_end_of_its_location():
    found = AssetRecord.of({"_id": 3, "location": "s3://b/deep/x/"})
    assert (found.record_id, found.name, found.location) == ("3", "x", "s3://b/deep/x/")
    assert AssetRecord.of({"_id": "3", "location": None}).location == ""
    assert AssetRecord.by_hand("s3://b/y.nwb").name == "y.nwb"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"b": [1, {"c": 2}, {"c": 3}]}),
        ("a.b.1.c", 2),
        ("a.b.c", [2, 3]),
        ("a.b.0", 1),
        ("a.b.9", None),
        ("a.b.0.c", None),
        ("x.y", None),
        ("n", None),
    ],
)
def test_paths_are_read_as_the_database_reads_them(path, value):
    assert value_at({"a": {"b": [1, {"c": 2}, {"c": 3}]}, "n": None}, path) == value


def test_a_list_is_unwound_and_the_document_stays_as_it_is():
    document = {"m": [{"a": "x", "t": [1, 2]}, {"a": "y", "t": []}], "k": 0}
    assert [d["m"] for d in unwound(document, "m")] == document["m"]
    assert [d["m"]["t"] for d in unwound(document, "m.t")] == [1, 2]
    assert list(unwound({"m": []}, "m")) == []
    assert list(unwound({"m": 3}, "m")) == [{"m": 3}]
    assert list(unwound({"k": 3}, "m.a")) == [{"k": 3}]
    assert document["m"][0]["t"] == [1, 2]


def test_nothing_null_and_lists_of_nothing_are_null():
    assert all(is_null(value) for value in (None, [], [None, []]))
    assert not any(is_null(value) for value in (0, "", False, [0], {}))


def test_values_are_ordered_as_people_mean_it():
    oldest_first = [
        None,
        3,
        10.5,
        "2024-05-08T16:09:35+02:00",
        "2024-05-08T15:00:00",
        "2024-05-08T16:09:35-07:00",
        "2025-01-01",
        "not a time",
    ]
    backwards = list(reversed(oldest_first))
    assert sorted(backwards, key=order_of) == oldest_first
    assert order_of(["2024-01-01", "2025-01-01"]) == order_of("2025-01-01")
    assert order_of([]) == order_of({"a": 1}) == order_of(None)


def test_the_fields_of_a_document_are_named_through_lists():
    assert set(paths_of({"a": [{"b": 1}, {"c": {"d": 2}}]})) == {"a", "a.b", "a.c", "a.c.d"}
    assert set(paths_of({"a": {"b": {"c": 1}}}, depth=2)) == {"a", "a.b"}


@needs_real_data
@pytest.mark.parametrize("generation", ["assets_v1", "assets_v2"])
def test_real_records_of_both_generations_name_their_assets(generation):
    for path in sorted((RECORDS / generation).glob("*.json")):
        record = AssetRecord.of(json.loads(path.read_text(encoding="utf-8")))
        assert record.record_id
        assert record.name
        assert record.location.startswith("s3://")
        assert record.asset_ids or "data_access_api_example" in path.name
