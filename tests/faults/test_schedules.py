"""Hundreds of random schedules of jobs and faults; the seed of each is its name, and repeats it."""

import os
import signal
import time

import pytest

from tests.faults import sizes
from tests.faults.conftest import MOST_JOBS, RANDOM
from tests.faults.injection import Fault
from tests.faults.schedules import schedule
from tests.faults.test_killed_processes import is_alive

pytestmark = pytest.mark.slow

AT = {"mongo connection": r"_jobs|_inbox|results", "s3 answer": r"^(GET|HEAD|PUT|DELETE) "}
SEED = os.environ.get("SEED")
SEEDS = [int(SEED)] if SEED else range(sizes.number("SCHEDULES", full=300, small=8))


def armed(lab, strike, processes):
    """Arm a fault for whatever it is to hit."""
    victims = {"mongod": lambda: [lab.servers.mongo.pid], "s3": lambda: [lab.servers.s3.pid]}
    pids = victims.get(strike.victim, lambda: [p.pid for p in processes])

    def kill():
        """Kill it, unless it has ended already."""
        for pid in filter(is_alive, pids()):
            os.kill(pid, signal.SIGKILL)

    at = AT.get(strike.victim, r".")
    fault = Fault(at, strike.moment, strike.how, act=None if strike.victim in AT else kill, skip=strike.skip)
    fault.times = strike.times if strike.victim in AT else 1
    lab.injection.arm(fault)
    return fault


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_the_end_state_is_the_same(lab, stage, judge, seed):
    faults, began = [], time.monotonic()
    for number, step in enumerate(schedule(seed, jobs=MOST_JOBS)):
        for count, job in enumerate(step.ask):
            stage.ask(job, name=f"{number}_{count}.json")
        lab.injection.arm()
        working = []
        if step.in_tick:
            faults.append(armed(lab, step.in_tick, working))
        process, answer = stage.start_tick()
        working.append(process)
        runs = stage.launch(stage.answer_of(process, answer))
        lab.injection.arm()
        working = []
        if step.in_run:
            faults.append(armed(lab, step.in_run, working))
        working += [stage.start_run(run) for run in runs]
        more = stage.launch(stage.answer_of(*stage.start_tick())) if step.together else []
        stage.wait(working)
        stage.wait([stage.start_run(run) for run in more])
        stage.monitor()
    lab.injection.arm()
    stage.settle()
    struck = sum(fault.struck for fault in faults)
    state = judge(RANDOM, stage, injected=struck, seconds=time.monotonic() - began)
    assert state.extra <= 4 * struck
