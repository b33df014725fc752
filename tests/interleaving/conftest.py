"""Counts what was tried, and prints it as a table."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interleaving.table import Tally
from tests.unmeasured import unmeasured

TALLY = pytest.StashKey[Tally]()


def pytest_configure(config: pytest.Config) -> None:
    """Count from here on."""
    config.stash[TALLY] = Tally()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    if config.stash[TALLY].rows:
        terminalreporter.write_line(config.stash[TALLY].markdown())


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Count schedules."""
    return request.config.stash[TALLY]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Local disk of all systems: resources are made once for it."""
    return tmp_path_factory.mktemp("interleaving")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run many short runs in this process."""
    unmeasured(monkeypatch)
    with warnings.catch_warnings():
        yield
