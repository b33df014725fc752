"""Every order of two live actors leaves what people were promised."""

import re
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from tests.interleaving import sizes
from tests.interleaving.faults import FAULTS
from tests.interleaving.scenarios import BY_NAME, SCENARIOS, Scenario
from tests.interleaving.schedules import explore, replay
from tests.interleaving.table import Tally

_SHOWN = 3


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_order_of_two_actors_breaks_a_rule(scenario: Scenario, lab: Path, tally: Tally) -> None:
    present = [fault for fault in FAULTS if fault.mutation is None and scenario.name in fault.scenarios]
    unexplained, began = [], time.monotonic()
    for schedule in islice(explore(scenario, lab), sizes.SCHEDULES):
        tally.count(scenario.name, schedule)
        if any(not any(fault.explains(problem) for fault in present) for problem in schedule.problems):
            unexplained.append(schedule)
    tally.rows[scenario.name].seconds = time.monotonic() - began
    assert not unexplained, "\n\n".join(schedule.text() for schedule in unexplained[:_SHOWN])


@pytest.mark.skipif(not sizes.REPLAYED, reason="SCHEDULE names the schedule to replay")
def test_replay(lab: Path) -> None:
    schedule = replay(sizes.REPLAYED, lab)
    print(schedule.text())  # noqa: T201  what a person replays it for
    assert not schedule.problems


def test_a_schedule_is_the_same_when_it_is_replayed(lab: Path) -> None:
    for scenario in SCENARIOS[:2]:
        schedules = [s for s in islice(explore(scenario, lab), 12) if s.complete]
        again = replay(schedules[-1].name, lab)
        assert [move.step for move in again.moves] == [move.step for move in schedules[-1].moves]
        assert again.problems == schedules[-1].problems


@pytest.mark.parametrize(
    ("name", "switches", "times"),
    [
        ("invalidate-vs-reuse", 2, 0),
        *([("two-runs", 1, 1), ("cancel-vs-run", 3, 0), ("force-vs-reuse", 3, 0)] if sizes.FULL else []),
    ],
)
def test_what_is_left_out_makes_no_difference(name: str, switches: int, times: int, lab: Path) -> None:
    scenario = replace(BY_NAME[name], switches=switches, times=times)
    some, every = (
        {(one.outcome, without_names(one.problems)) for one in explore(scenario, lab, reduce=reduce) if one.complete}
        for reduce in (True, False)
    )
    assert some == every


def without_names(problems: tuple[str, ...]) -> str:
    """Return problems without the names of attempts."""
    return re.sub(r"[0-9a-f]{8}", "…", " ".join(sorted(problems)))
