"""How much of the suite is run: all of it by ``make test-faults``, of everything a little by ``make test``."""

import os

FULL = os.environ.get("FAULTS") == "full"
SLOW_S = 0.5
"""Duration of jobs that are interrupted (s)."""


def of(everything, *, small):
    """Return everything, or those of it that are enough for every day."""
    chosen = list(everything)
    return chosen if FULL else [item for item in chosen if item in small]


def number(name, *, full, small):
    """Return a number that a variable may set."""
    return int(os.environ.get(name, full if FULL else small))
