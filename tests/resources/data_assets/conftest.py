"""A collection of records, read from MongoDB directly and through the REST API."""

import pytest

from resources.data_assets.records import MongoAssetRecords
from resources.data_assets.records_rest import RestAssetRecords
from resources.mongo import MongoConnection
from tests.docdb_api import docdb_api


@pytest.fixture
def mongo(docdb_uri, database):
    """Connect to a new database."""
    return MongoConnection(uri=docdb_uri, database=database)


@pytest.fixture
def collection(mongo):
    """Give the collection, with three records of both generations."""
    found = mongo.collection("data_assets").raw
    found.insert_many(
        [
            {
                "_id": "1",
                "name": "one",
                "location": "s3://b/1",
                "external_links": {"Code Ocean": ["a"]},
                "big": "x" * 100,
            },
            {
                "_id": "2",
                "name": "two",
                "location": "s3://b/2",
                "other_identifiers": {"Code Ocean": ["b"]},
                "s": {"k": [{"v": 1}]},
            },
            {"_id": "3", "name": "three", "location": "s3://b/3", "s": {"k": 2, "other": 1}},
        ]
    )
    return found


@pytest.fixture
def api(docdb_uri):
    """Serve the REST API."""
    with docdb_api(docdb_uri) as api:
        yield api


@pytest.fixture
def rest(api, database):
    """Connect through the REST API, a few records at a time."""
    return RestAssetRecords(url=api.url, database=database, name="data_assets", page=7, pause_s=0.01)


@pytest.fixture(params=["mongo", "rest"])
def assets(request, mongo, collection):
    """Give records of either kind: both keep the same contract."""
    if request.param == "rest":
        return request.getfixturevalue("rest")
    return MongoAssetRecords(mongo=mongo, name="data_assets")
