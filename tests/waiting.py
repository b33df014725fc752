"""Waits for other processes: they end on an event, and fail only after a time without progress.

A machine that is busy with other work makes everything slower, and no test may fail by that. A wait therefore has no time
limit of its own: as long as what it watches changes, it goes on.
"""

import threading
import time
from contextlib import suppress

import pytest

PATIENCE_S = 300.0
"""How long nothing may change before a wait gives up."""

PATIENCE_MS = int(1000 * PATIENCE_S)
"""The same for Playwright, whose waits end on events too."""


def wait_for(condition, what, *, moving=None, meanwhile=None, every_s=0.05):
    """Wait until a condition returns a true value, and return it.

    Parameters
    ----------
    condition : callable
        Called repeatedly.
    what : str
        Message if it never does.
    moving : callable, optional
        A value that changes as long as there is progress: states of jobs and runs, the size of a log. Without it the wait
        is for one step, which no machine takes minutes for.
    meanwhile : callable, optional
        Called before each question.
    every_s : float
        Pause between two questions (s).
    """
    seen, since = None, time.monotonic()
    while True:
        if meanwhile is not None:
            meanwhile()
        if found := condition():
            return found
        now = None if moving is None else moving()
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE_S:
            pytest.fail(f"nothing moved for {PATIENCE_S:.0f} s: {what}" + (f"; last seen: {now}" if moving else ""))
        time.sleep(every_s)


def returned(function):
    """Call a function that must make progress; return or raise as it does."""
    ended = []

    def call():
        try:
            ended.append((function(), None))
        except BaseException as error:  # noqa: BLE001  raised again below
            ended.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    if not ended:
        pytest.fail(f"{function} did not return within {PATIENCE_S:.0f} s")
    ((found, error),) = ended
    if error is not None:
        raise error
    return found


def progress_of(connections, names, dagster_home):
    """Return what changes as long as a platform works: states of jobs, and the size of Dagster's logs of runs."""
    counts = [sorted((state.value, n) for state, n in connections.ledger.jobs.counts(name).items()) for name in names]
    return counts, sum(size_of(path) for path in dagster_home.glob("history/runs/*.db*"))


def size_of(path):
    """Return the size of a file; 0 if it does not exist, like SQLite's journals after each transaction."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
