"""Which record is that of an input."""

import pytest

from domain.data_asset.matching import places_of, record_of
from domain.data_asset.record import AssetRecord
from domain.errors import InputError

ASSET = AssetRecord("1", "a", "s3://lab/a")


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("s3://lab/a/b.nwb/", ("s3://lab/a/b.nwb", "s3://lab/a")),
        ("s3://lab", ()),
        ("s3://lab/", ()),
        ("file:///data/a.nwb", ("file:///data/a.nwb", "file:///data")),
        ("https://host/a", ("https://host/a",)),
    ],
)
def test_the_places_of_an_input_end_below_its_root(url, places):
    assert places_of(url) == places


def found(url, *records, ids=(), is_only_input=True):
    record = record_of(url, records, ids=ids, is_only_input=is_only_input)
    return None if record is None else record.record_id


def test_the_record_with_the_nearest_location_is_that_of_an_input():
    inner = AssetRecord("2", "b", "s3://lab/a/b/")
    assert found("s3://lab/a/b/c.nwb", ASSET, inner) == "2"
    assert found("s3://lab/a/c.nwb", ASSET, inner) == "1"
    assert found("s3://lab/ab", ASSET, inner) is None
    assert found("s3://lab/x", AssetRecord("3", "", "")) is None


def test_a_named_id_replaces_the_location_only_for_the_one_input_of_a_job():
    assert found("s3://other/x", ASSET, ids=["1"]) == "1"
    assert found("s3://other/x", ASSET, ids=["1"], is_only_input=False) is None
    assert found("s3://other/x", ASSET, AssetRecord("2", "", "s3://lab/b"), ids=["1", "2"]) is None


def test_a_named_id_decides_between_records_with_one_location():
    same = AssetRecord("2", "again", "s3://lab/a/")
    assert found("s3://lab/a", ASSET, same, ids=["2"]) == "2"
    with pytest.raises(
        InputError, match=r"2 metadata records have the location s3://lab/a: `1`; `2`\. Name one"
    ) as error:
        found("s3://lab/a", ASSET, same)
    assert error.value.location == "s3://lab/a"
