"""A replica set of three loses its primary while jobs are ingested, claimed and published."""

import os
import signal
import time

import pytest
from pymongo.errors import PyMongoError

from tests.faults import processes, sizes
from tests.faults.sizes import SLOW_S
from tests.waiting import wait_for

KILLED = (40, "primary of three mongods killed")
STEPPED_DOWN = (41, "primary of three mongods steps down")
ELECTION_MS = 10_000 if sizes.FULL else 2_000  # ten seconds is MongoDB's own
JOBS = range(8)


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory):
    """Give a replica set, with a client of the whole set."""
    with processes.replica_set(tmp_path_factory.mktemp("replicas"), electionTimeoutMillis=ELECTION_MS) as (
        found,
        client,
    ):
        found.client = client
        yield found


def primary(client):
    """Return the address of the primary; None while there is none."""
    try:
        return client.admin.command("hello").get("primary")
    except PyMongoError:
        return None


def all_in_order(replica_set):
    """Return whether one member is primary and the others follow it."""
    try:
        states = [m["stateStr"] for m in replica_set.client.admin.command("replSetGetStatus")["members"]]
    except PyMongoError:
        return False
    return sorted(states) == ["PRIMARY", "SECONDARY", "SECONDARY"]


def kill(replica_set):
    """Kill the primary; gives what brings it back."""
    server = replica_set.at(wait_for(lambda: primary(replica_set.client), "no primary"))
    os.kill(server.pid, signal.SIGKILL)
    wait_for(server.has_ended, "it still runs")
    return lambda: (wait_for(server.restart_if_ended, "it does not start"), server.wait_until_ready())


def step_down(replica_set):
    """Ask the primary to make way; it comes back by itself."""
    wait_for(lambda: primary(replica_set.client), "no primary")
    replica_set.client.admin.command("replSetStepDown", 20, secondaryCatchUpPeriodSecs=5)
    return lambda: None


@pytest.mark.slow
@pytest.mark.parametrize("when", sizes.of(["the sensor ticks", "jobs are at work"], small=["jobs are at work"]))
@pytest.mark.parametrize(
    ("fault", "lose_primary"), sizes.of([(KILLED, kill), (STEPPED_DOWN, step_down)], small=[(KILLED, kill)])
)
def test_jobs_go_on_under_another_primary(lab, judge, replica_set, fault, lose_primary, when):
    wait_for(lambda: all_in_order(replica_set), "the replica set is not in order")
    stage = lab.stage(mongo_uri=replica_set.uri)
    stage.ask(*JOBS, seconds=SLOW_S)
    if when == "the sensor ticks":
        tick = stage.start_tick()
        began, bring_back = time.monotonic(), lose_primary(replica_set)
        runs = stage.launch(stage.answer_of(*tick))
        started = [stage.start_run(run) for run in runs]
    else:
        started = [stage.start_run(run) for run in stage.tick()]
        wait_for(lambda: len(stage.marks()) >= 3, "the jobs did not begin")
        began, bring_back = time.monotonic(), lose_primary(replica_set)
    stage.wait(started)
    stage.monitor()
    stage.settle()
    seconds = time.monotonic() - began
    bring_back()
    wait_for(lambda: all_in_order(replica_set), "the old primary does not come back")
    assert stage.settle() is not None
    judge(fault, stage, injected=1, seconds=seconds, slow=SLOW_S)
    stage.close()
