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


def end_badly(world, keys, *, kind="exception", message="KeyError: 'unit {n}'"):
    for number, key in enumerate(keys):
        claimed = claim(world, key)
        error = JobError(kind=kind, message=message.format(n=number), permanent=kind == "exception")
        world.stores.ledger.claims.fail(
            claimed, attempt=claimed.lease.attempt, code_version=world.entry.code_version, error=error
        )


@pytest.fixture
def broken(world):
    """Let ten of thirty jobs fail in the same way; gives the keys that are left."""
    write_jobs(world, 30)
    world.end(world.launch(world.tick()))
    keys = world.partitions()
    end_badly(world, keys[:10])
    return keys[10:]


def test_after_ten_failures_in_the_same_way_nothing_more_is_asked_for(world, broken):
    found = world.tick()
    assert world.asked(found) == []
    assert "Stopped: 10 of the latest 10 jobs failed in the same way (exception): KeyError" in found.skip_message
    assert f"analysis resume {world.name}" in found.skip_message
    assert len(world.jobs(JobState.NEW)) == len(broken), "the rest stays new"
    assert world.asked(world.tick()) == []


def test_it_is_closed_by_hand_and_needs_as_many_failures_again(world, broken):
    world.tick()
    assert world.stores.ledger.breakers.close(world.name, who="ann", reason="mended")
    assert not world.stores.ledger.breakers.close(world.name, who="ann", reason="again")
    found = world.tick()
    assert world.asked(found) == broken
    world.end(world.launch(found))
    end_badly(world, broken[:9])
    assert world.asked(world.tick()) == broken[9:]


def test_other_code_closes_it(world, broken):
    world.tick()
    world.entry = type(world.entry)(**{**world.entry.__dict__, "code_version": "2+000000000000"})
    assert set(broken) <= set(world.asked(world.tick()))


def test_without_a_rule_nothing_stops(world, broken):
    analysis = world.entry.analysis.model_copy(update={"breaker": None})
    world.entry = type(world.entry)(**{**world.entry.__dict__, "analysis": analysis})
    assert world.asked(world.tick()) == broken


def test_mixed_failures_and_a_majority_of_results_do_not_stop_it(world):
    write_jobs(world, 30)
    world.end(world.launch(world.tick()))
    keys = world.partitions()
    end_badly(world, keys[:9])
    end_badly(world, keys[9:18], message="TypeError: other")
    assert world.asked(world.tick()) == keys[18:]
    end_badly(world, keys[18:20])
    for key in keys[20:29]:
        finish(world, key)
    assert world.asked(world.tick()) == keys[29:]


def test_where_a_server_was_away_a_few_jobs_are_tried_and_one_that_succeeds_closes_it(world):
    write_jobs(world, 30)
    world.end(world.launch(world.tick()))
    keys = world.partitions()
    end_badly(world, keys[:10], kind="server", message="S3 at {n} did not answer")
    assert world.asked(world.tick()) == []
    ledger = world.stores.ledger
    due = {"$set": {"probe_at": ledger.now() - timedelta(seconds=1)}}
    breakers_of(ledger).update_one({"_id": world.name}, due)
    found = world.tick()
    assert world.asked(found) == keys[10 : 10 + PROBED_JOBS]
    world.end(world.launch(found))
    assert world.asked(world.tick()) == [], "the next ones only after twice the time"
    assert ledger.breakers.get_open(world.name, code_version=world.entry.code_version).probe_at > ledger.now()
    finish(world, keys[10])
    assert world.asked(world.tick()) == keys[11:]
    assert ledger.breakers.get_open(world.name, code_version=world.entry.code_version) is None


def test_an_alert_is_sent_once_when_it_opens_and_once_when_it_closes(world, broken):
    world.tick()
    ledger = world.stores.ledger

    def reported():
        return [name for name in breaker_alerts(ledger, Alerts(), ui_url="http://ui") if name == world.name]

    assert (reported(), reported()) == ([world.name], [])
    ledger.breakers.close(world.name, who="ann", reason="x")
    assert (reported(), reported()) == ([world.name], [])


def test_a_server_that_is_away_for_weeks_is_still_probed(world):
    ledger, trip = world.stores.ledger, Trip("server: away", "server", "away", 10, 10)
    ledger.breakers.open(world.name, code_version=world.entry.code_version, found=trip)
    due = {"probe_at": ledger.now() - timedelta(seconds=1), "probes": 5000}
    breakers_of(ledger).update_one({"_id": world.name}, {"$set": due})
    assert ledger.breakers.begin_probe(world.name)
    wait = ledger.breakers.get_open(world.name, code_version=world.entry.code_version).probe_at - ledger.now()
    assert timedelta(hours=5, minutes=59) < wait <= timedelta(hours=6)
