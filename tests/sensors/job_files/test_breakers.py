"""A circuit breaker over real stores: it stops jobs, is reported, recovers, and is closed manually."""

from datetime import timedelta

import pytest

from domain.analysis.breaker import Trip
from domain.failures import JobError
from domain.job.state import JobState
from resources.alerts import Alerts
from sensors.alerts import breaker_alerts
from sensors.job_files.breakers import PROBED_JOBS
from tests.raw import breakers_of
from tests.sensors.job_files.test_sensor import claim, finish, write_jobs


def end_badly(harness, keys, *, kind="exception", message="KeyError: 'unit {n}'"):
    for number, key in enumerate(keys):
        claimed = claim(harness, key)
        error = JobError(kind=kind, message=message.format(n=number), permanent=kind == "exception")
        harness.stores.ledger.claims.fail(
            claimed, attempt=claimed.lease.attempt, code_version=harness.entry.code_version, error=error
        )


@pytest.fixture
def broken(harness):
    """Let ten of thirty jobs fail in the same way; gives the keys that are left."""
    write_jobs(harness, 30)
    harness.end(harness.launch(harness.tick()))
    keys = harness.partitions()
    end_badly(harness, keys[:10])
    return keys[10:]


def test_after_ten_failures_in_the_same_way_nothing_more_is_requested(harness, broken):
    found = harness.tick()
    assert harness.requested(found) == []
    assert "Stopped: 10 of the latest 10 jobs failed in the same way (exception): KeyError" in found.skip_message
    assert f"analysis resume {harness.name}" in found.skip_message
    assert len(harness.jobs(JobState.NEW)) == len(broken), "the rest stays new"
    assert harness.requested(harness.tick()) == []


def test_it_is_closed_by_hand_and_needs_as_many_failures_again(harness, broken):
    harness.tick()
    assert harness.stores.ledger.breakers.close(harness.name, who="ann", reason="fixed")
    assert not harness.stores.ledger.breakers.close(harness.name, who="ann", reason="again")
    found = harness.tick()
    assert harness.requested(found) == broken
    harness.end(harness.launch(found))
    end_badly(harness, broken[:9])
    assert harness.requested(harness.tick()) == broken[9:]


def test_other_code_closes_it(harness, broken):
    harness.tick()
    harness.entry = type(harness.entry)(**{**harness.entry.__dict__, "code_version": "2+000000000000"})
    assert set(broken) <= set(harness.requested(harness.tick()))


def test_without_a_rule_nothing_stops(harness, broken):
    analysis = harness.entry.analysis.model_copy(update={"breaker": None})
    harness.entry = type(harness.entry)(**{**harness.entry.__dict__, "analysis": analysis})
    assert harness.requested(harness.tick()) == broken


def test_mixed_failures_and_a_majority_of_results_do_not_stop_it(harness):
    write_jobs(harness, 30)
    harness.end(harness.launch(harness.tick()))
    keys = harness.partitions()
    end_badly(harness, keys[:9])
    end_badly(harness, keys[9:18], message="TypeError: other")
    assert harness.requested(harness.tick()) == keys[18:]
    end_badly(harness, keys[18:20])
    for key in keys[20:29]:
        finish(harness, key)
    assert harness.requested(harness.tick()) == keys[29:]


def test_where_a_server_was_away_a_few_jobs_are_tried_and_one_that_succeeds_closes_it(harness):
    write_jobs(harness, 30)
    harness.end(harness.launch(harness.tick()))
    keys = harness.partitions()
    end_badly(harness, keys[:10], kind="server", message="S3 at {n} did not answer")
    assert harness.requested(harness.tick()) == []
    ledger = harness.stores.ledger
    due = {"$set": {"probe_at": ledger.now() - timedelta(seconds=1)}}
    breakers_of(ledger).update_one({"_id": harness.name}, due)
    found = harness.tick()
    assert harness.requested(found) == keys[10 : 10 + PROBED_JOBS]
    harness.end(harness.launch(found))
    assert harness.requested(harness.tick()) == [], "the next ones only after twice the time"
    assert ledger.breakers.get_open(harness.name, code_version=harness.entry.code_version).probe_at > ledger.now()
    finish(harness, keys[10])
    assert harness.requested(harness.tick()) == keys[11:]
    assert ledger.breakers.get_open(harness.name, code_version=harness.entry.code_version) is None


def test_an_alert_is_sent_once_when_it_opens_and_once_when_it_closes(harness, broken):
    harness.tick()
    ledger = harness.stores.ledger

    def reported():
        return [name for name in breaker_alerts(ledger, Alerts(), ui_url="http://ui") if name == harness.name]

    assert (reported(), reported()) == ([harness.name], [])
    ledger.breakers.close(harness.name, who="ann", reason="x")
    assert (reported(), reported()) == ([harness.name], [])


def test_a_server_that_is_away_for_weeks_is_still_probed(harness):
    ledger, trip = harness.stores.ledger, Trip("server: away", "server", "away", 10, 10)
    ledger.breakers.open(harness.name, code_version=harness.entry.code_version, found=trip, seen=None)
    due = {"probe_at": ledger.now() - timedelta(seconds=1), "probes": 5000}
    breakers_of(ledger).update_one({"_id": harness.name}, {"$set": due})
    assert ledger.breakers.begin_probe(harness.name)
    wait = ledger.breakers.get_open(harness.name, code_version=harness.entry.code_version).probe_at - ledger.now()
    assert timedelta(hours=5, minutes=59) < wait <= timedelta(hours=6)
