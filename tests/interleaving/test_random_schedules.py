"""Random orders of two and three actors, in memory and on a real MongoDB and S3: their seed is their name."""

import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from resources.s3.connection import S3Connection
from tests.interleaving import sizes
from tests.interleaving.faults import FAULTS
from tests.interleaving.random_schedules import RandomChoice
from tests.interleaving.scenarios import SCENARIOS, TRIOS, Scenario
from tests.interleaving.schedules import Schedule, Trial
from tests.interleaving.servers_real import RealServers, RealTrial
from tests.interleaving.table import Tally

_SHOWN = 3
_TIMES = 2
PRESENT = [fault for fault in FAULTS if fault.mutation is None]


def tried(make: Callable[[Scenario], Trial], scenarios: tuple[Scenario, ...], tally: Tally, title: str) -> list[str]:
    """Run random schedules until the time is up; returns those that break a rule which no known fault explains."""
    trials = [make(scenario) for scenario in scenarios]
    began, broken = time.monotonic(), list[Schedule]()
    for seed in count(sizes.FIRST_SEED):
        if time.monotonic() > began + sizes.SECONDS:
            break
        trial = trials[seed % len(trials)]
        schedule = trial.run_with(partial(RandomChoice, seed, times=_TIMES))
        tally.count(title, schedule)
        if any(not any(fault.explains(problem) for fault in PRESENT) for problem in schedule.problems):
            broken.append(schedule)
    tally.rows[title].seconds = time.monotonic() - began
    return [schedule.text() for schedule in broken]


@pytest.mark.parametrize("scenarios", [SCENARIOS, TRIOS], ids=["two", "three"])
def test_random_orders_on_real_servers_break_no_rule(
    scenarios: tuple[Scenario, ...], lab: Path, docdb_uri: str, s3: S3Connection, tally: Tally
) -> None:
    servers = RealServers(docdb_uri, s3)
    title = f"random orders of {len(scenarios[0].actors)} on real servers"
    broken = tried(lambda scenario: RealTrial(scenario, lab, servers), scenarios, tally, title)
    servers.clear()
    assert not broken, "\n\n".join(broken[:_SHOWN])


def test_random_orders_of_three_actors_in_memory_break_no_rule(lab: Path, tally: Tally) -> None:
    broken = tried(lambda scenario: Trial(scenario, lab), TRIOS, tally, "random orders of 3 in memory")
    assert not broken, "\n\n".join(broken[:_SHOWN])
