"""The circuit breakers in the ledger."""

from datetime import timedelta

import pytest

from domain.analysis.breaker import Trip
from domain.retry import LONGEST_WAIT_S
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection

TRIP = Trip("server: away", "server", "away", 10, 12)


@pytest.fixture
def breakers(docdb_uri, database):
    """Give the breakers of an empty ledger."""
    return Ledger(mongo=MongoConnection(uri=docdb_uri, database=database), records_name="records").breakers


def test_failures_from_before_an_operator_closed_it_do_not_open_it_again(breakers):
    assert breakers.state("demo", code_version="v1").changed is None
    assert breakers.open("demo", code_version="v1", found=TRIP, seen=None)
    seen = breakers.state("demo", code_version="v1").changed
    assert not breakers.open("demo", code_version="v1", found=TRIP, seen=seen), "it is open"
    assert breakers.close("demo", who="ann", reason="fixed")
    assert not breakers.open("demo", code_version="v1", found=TRIP, seen=seen)
    assert not breakers.open("demo", code_version="v1", found=TRIP, seen=None)
    assert breakers.get_open("demo", code_version="v1") is None
    assert breakers.open("demo", code_version="v1", found=TRIP, seen=breakers.state("demo", code_version="v1").changed)


def test_an_earlier_success_does_not_close_a_breaker_that_opened_again(breakers):
    breakers.open("demo", code_version="v1", found=TRIP, seen=None)
    earlier = breakers.get_open("demo", code_version="v1")
    breakers.close("demo", who="ann", reason="fixed")
    breakers.open("demo", code_version="v1", found=TRIP, seen=breakers.state("demo", code_version="v1").changed)
    assert not breakers.close("demo", who="the platform", reason="a job succeeded", opened=earlier)
    current = breakers.get_open("demo", code_version="v1")
    assert breakers.close("demo", who="the platform", reason="a job succeeded", opened=current)


@pytest.mark.parametrize("probes", [0, 60, 1200, 2**62])
def test_an_open_breaker_is_probed_however_often_it_was(docdb_uri, database, probes):
    ledger = Ledger(mongo=MongoConnection(uri=docdb_uri, database=database), records_name="records")
    assert ledger.breakers.open("demo", code_version="v1", found=TRIP, seen=None)
    raw = ledger.mongo.collection("records_breakers").raw
    raw.update_one({"_id": "demo"}, {"$set": {"probes": probes, "probe_at": ledger.now() - timedelta(seconds=1)}})
    assert ledger.breakers.begin_probe("demo")
    assert not ledger.breakers.begin_probe("demo"), "the next one waits"
    next_probe = ledger.breakers.get_open("demo", code_version="v1").probe_at
    assert ledger.now() < next_probe <= ledger.now() + timedelta(seconds=LONGEST_WAIT_S)
