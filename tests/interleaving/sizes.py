"""How much is tried: everything by ``make test-faults``, of each scenario a part by ``make test``."""

import os

FULL = os.environ.get("FAULTS") == "full"

SCHEDULES = None if FULL else int(os.environ.get("SCHEDULES_OF_EACH", "24"))
"""Maximum number of schedules of each scenario, those with few switches first; None: all of them."""

SECONDS = float(os.environ.get("INTERLEAVING_S", "60" if FULL else "4"))
"""How long random schedules are tried on real servers (s)."""

FIRST_SEED = int(os.environ.get("SEED", "0"))
"""Seed of the first random schedule."""

REPLAYED = os.environ.get("SCHEDULE", "")
"""Name of a schedule to replay."""
