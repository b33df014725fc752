"""The circuit breakers in the ledger."""

from datetime import timedelta

import pytest

from domain.analysis.breaker import Trip
from domain.retry import LONGEST_WAIT_S
from resources.ledger.ledger import Ledger
from resources.mongo import MongoConnection

TRIP = Trip("server: away", "server", "away", 10, 12)


@pytest.mark.parametrize("probes", [0, 60, 1200, 2**62])
def test_an_open_breaker_is_probed_however_often_it_was(docdb_uri, database, probes):
    ledger = Ledger(mongo=MongoConnection(uri=docdb_uri, database=database), records_name="records")
    assert ledger.breakers.open("demo", code_version="v1", found=TRIP)
    raw = ledger.mongo.collection("records_breakers").raw
    raw.update_one({"_id": "demo"}, {"$set": {"probes": probes, "probe_at": ledger.now() - timedelta(seconds=1)}})
    assert ledger.breakers.begin_probe("demo")
    assert not ledger.breakers.begin_probe("demo"), "the next one waits"
    next_probe = ledger.breakers.get_open("demo", code_version="v1").probe_at
    assert ledger.now() < next_probe <= ledger.now() + timedelta(seconds=LONGEST_WAIT_S)
