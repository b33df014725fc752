"""The suite finds the faults that it is to find: those of today, and those that come back when their fix is removed."""

import contextlib
from pathlib import Path

import pytest

from tests.interleaving.faults import FAULTS, Fault
from tests.interleaving.scenarios import BY_NAME
from tests.interleaving.schedules import explore


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_is_found(fault: Fault, lab: Path) -> None:
    with fault.mutation() if fault.mutation is not None else contextlib.nullcontext():
        found = (s for s in explore(BY_NAME[fault.scenario], lab) if any(map(fault.explains, s.problems)))
        schedule = next(found, None)
    assert schedule is not None, (
        f"not found: {fault.name}. If it was fixed, give it the mutation that brings it back"
        if fault.mutation is None
        else f"not found although its fix was removed: {fault.name}"
    )
    print(schedule.text())  # noqa: T201  shown with `-s`
