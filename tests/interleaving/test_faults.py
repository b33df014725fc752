"""The suite finds the faults that it is to find: those of today, and those that come back when their fix is removed."""

import contextlib
from pathlib import Path

import pytest

from tests.interleaving import sizes
from tests.interleaving.faults import FAULTS, Fault
from tests.interleaving.scenarios import BY_NAME
from tests.interleaving.schedules import explore

CASES = [(fault, name) for fault in FAULTS for name in (fault.scenarios if sizes.FULL else fault.scenarios[:1])]


@pytest.mark.parametrize(("fault", "scenario"), CASES, ids=[f"{f.name.replace(' ', '-')}:{name}" for f, name in CASES])
def test_a_fault_is_found(fault: Fault, scenario: str, lab: Path) -> None:
    with fault.mutation() if fault.mutation is not None else contextlib.nullcontext():
        found = (s for s in explore(BY_NAME[scenario], lab) if any(map(fault.explains, s.problems)))
        schedule = next(found, None)
    assert schedule is not None, (
        f"not found: {fault.name}. If it was fixed, give it the mutation that brings it back"
        if fault.mutation is None
        else f"not found although its fix was removed: {fault.name}"
    )
    print(schedule.text())  # noqa: T201  shown with `-s`
