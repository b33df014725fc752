"""`analysis demo`, and `make demo DATA=folder`."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from resources.settings import PROJECT_ROOT
from tests.end_to_end.commands import command
from tests.real_data import REAL_DATA, needs_real_data

pytestmark = pytest.mark.slow
_HANGS_S = 1800  # the demo has a limit of its own


def demo(*words):
    """Run `analysis demo` and return what it printed."""
    found = subprocess.run(
        command("demo", *words), cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=_HANGS_S, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Traceback" not in found.stdout + found.stderr
    return found.stdout


def test_the_demo_computes_once_and_nothing_when_run_again(home):
    first = demo()
    assert all(word in first for word in ("unit_quality", "llobet", "foraging_choice_model", "fitted"))
    assert "Second pass: the same" in first
    assert first.rstrip().endswith("in other files, 0 computed.")
    assert "computed, 0 already there." in first
    reports = [line.partition(": ")[2] for line in first.splitlines() if line.startswith("Report of ")]
    assert len(reports) == 2
    assert all("the current code" in Path(path).read_text(encoding="utf-8") for path in reports)
    again = demo()
    assert " 0 computed, " in again
    assert again.rstrip().endswith("in other files, 0 computed.")
    figures = [line.partition(": ")[2] for line in again.splitlines() if line.endswith(".png")]
    assert figures
    assert all(Path(path).is_file() for path in figures)


@needs_real_data
def test_the_demo_takes_a_persons_own_files(home):
    shown = demo("--data", str(REAL_DATA / "nwb"))
    rows = [[cell.strip() for cell in line.split("│")] for line in shown.splitlines() if line.count("│") > 5]
    expected = {"units": 4, "no_units": 8, "fitted": 3, "too_few_trials": 1, "no_trials": 2}
    assert Counter(cell for row in rows for cell in row if cell in expected) == expected
    assert shown.rstrip().endswith("0 computed.")
