"""Folders of servers that a test alone uses, with nothing left running after it."""

import os
from contextlib import contextmanager, suppress

import psutil
import pytest

from resources.embedded.embedded import supervised
from tests.unmeasured import unmeasured
from tests.waiting import wait_for


def of_folder(home):
    """Return every process that was started for a folder of servers."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.environ()
            if "resource_tracker" in " ".join(process.cmdline()) and process.ppid() == os.getpid():
                continue  # Python's own, for what this process starts
            mine = str(home) in (words.get("ANALYSIS_HOME"), words.get("DAGSTER_HOME", "").removesuffix("/dagster"))
            if mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def command_of(process):
    """Return the command line of a process; it is empty when the process has just ended."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def nothing_runs(home):
    """Return whether all processes of a folder of servers have ended."""
    return not supervised(home) and not of_folder(home)


@contextmanager
def own_home(folder):
    """Give a folder of servers, named to every command, and see that nothing is left running."""
    home = folder / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANALYSIS_HOME", str(home))
        unmeasured(patch)
        yield home
    try:
        wait_for(lambda: nothing_runs(home), f"still running: {of_folder(home)}")
    finally:
        for process in of_folder(home):
            process.kill()


@pytest.fixture
def home(tmp_path):
    """Give a folder of servers that this test alone uses."""
    with own_home(tmp_path) as home:
        yield home
