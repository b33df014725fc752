"""Random orders of two or three actors, each decided by a seed."""

import random
from collections.abc import Sequence

from tests.interleaving.scheduler import TIME, Scheduler, stay

_TIME_PASSES = 0.04
"""How often, between two steps."""


class RandomChoice:
    """Chooses moves at random: mostly the actor goes on that moved last.

    Parameters
    ----------
    seed : int
        Decides everything.
    scheduler : Scheduler
        Whose moves are chosen.
    times : int
        Maximum number of moments at which leases expire.
    """

    def __init__(self, seed: int, scheduler: Scheduler, *, times: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311  repeatable is what it must be
        self._scheduler, self._times = scheduler, times
        self._switching = self._chance.choice((0.05, 0.15, 0.4))

    def __call__(self, enabled: Sequence[str]) -> str:
        """Return the next move."""
        if self._times and self._chance.random() < _TIME_PASSES and self._scheduler.is_leased():
            self._times -= 1
            return TIME
        busy = [name for name in enabled if not self._polls(name)]
        if busy and self._chance.random() < self._switching:
            return self._chance.choice(busy)
        return stay(enabled, self._scheduler)

    def _polls(self, name: str) -> bool:
        """Return whether an actor waits for another one."""
        pending = self._scheduler.actors[name].pending
        return pending is not None and pending.kind == "poll"
