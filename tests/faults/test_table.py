"""The suite's own table and schedules: what they show is what was counted, and a seed always means the same."""

import pytest

from tests.faults.end_state import EndState
from tests.faults.schedules import schedule
from tests.faults.table import BEGIN, END, Tally, with_table


def test_the_table_adds_up_what_was_counted():
    tally = Tally()
    for extra, seconds in ((1, 2.0), (0, 4.0)):
        tally.count(2, "killed", EndState(extra=extra), injected=3, seconds=seconds, by_hand=False)
    tally.count(1, "changed", EndState(lost=1, duplicated=2), injected=1, seconds=1.0, by_hand=True)
    *_, first, second, total = tally.markdown().splitlines()
    assert first == "| changed | 1 | 1 | 2 | 0 | on request | 1.0 |"
    assert second == "| killed | 6 | 0 | 0 | 1 | 2 of 2 | 3.0 |"
    assert total == "| **all** | **7** | **1** | **2** | **1** | **2 of 3** | |"


def test_a_table_takes_the_place_of_the_old_one_and_of_nothing_else():
    page = with_table(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert page == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert with_table(page, "new") == page
    with pytest.raises(ValueError, match="no place for the table"):
        with_table("a page", "new")


def test_a_seed_always_means_the_same_schedule():
    assert [schedule(seed, jobs=8) for seed in range(50)] == [schedule(seed, jobs=8) for seed in range(50)]
    assert len({str(schedule(seed, jobs=8)) for seed in range(50)}) == 50
