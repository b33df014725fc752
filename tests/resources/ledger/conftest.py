"""One ledger for all tests of a module."""

import uuid

import pytest

from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection
from tests.raw import jobs_of


@pytest.fixture(scope="module")
def one_ledger(docdb_uri):
    """Open one ledger for all tests: making its collection and indexes takes longer than a test."""
    mongo = MongoConnection(uri=docdb_uri, database=f"test_{uuid.uuid4().hex[:16]}")
    return Ledger(mongo=mongo, records_name="records")


@pytest.fixture
def ledger(one_ledger):
    """Give an empty ledger."""
    jobs_of(one_ledger).delete_many({})
    return one_ledger


@pytest.fixture
def brief(ledger):
    """Give the same ledger, with claims that expire at once."""
    return Ledger(mongo=ledger.mongo, records_name=ledger.records_name, lease_s=-1.0)
