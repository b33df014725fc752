"""Random schedules: jobs, and faults at random moments, all of it decided by one seed."""

import random
from dataclasses import dataclass

VICTIMS = ("process", "process", "mongod", "s3", "mongo connection", "s3 answer")
"""Processes die twice as often as anything else."""

ANSWERS = ("500", "503", "drop", "reset", "half")


@dataclass(frozen=True)
class Strike:
    """One fault: what it hits, at the how-manieth request of the round, before or after it is done."""

    victim: str
    skip: int
    moment: str
    how: str
    times: int


@dataclass(frozen=True)
class Round:
    """The events between two idle states.

    Attributes
    ----------
    ask : tuple of int
        Requested jobs; some were requested before by another file.
    in_tick, in_run : Strike or None
        Faults during the tick of the sensor, and during the runs.
    together : bool
        Tick a second time during the runs.
    """

    ask: tuple[int, ...]
    in_tick: Strike | None
    in_run: Strike | None
    together: bool


def schedule(seed: int, *, jobs: int) -> list[Round]:
    """Make the schedule of a seed.

    Parameters
    ----------
    seed : int
        Seed of the random generator; it determines the schedule.
    jobs : int
        Different jobs, at most.
    """
    chance = random.Random(seed)  # noqa: S311  repeatable is what it must be
    rounds = []
    for _ in range(chance.randint(1, 2)):
        ask = tuple(chance.randrange(jobs) for _ in range(chance.randint(1, 4)))
        in_tick = _strike(chance, requests=26) if chance.random() < 0.5 else None
        in_run = _strike(chance, requests=14 + 8 * len(set(ask))) if in_tick is None or chance.random() < 0.6 else None
        rounds.append(Round(ask, in_tick, in_run, together=chance.random() < 0.25))
    return rounds


def _strike(chance: random.Random, *, requests: int) -> Strike:
    """Draw one fault."""
    victim, how = chance.choice(VICTIMS), chance.choice(ANSWERS)
    moment = chance.choice(("before", "after")) if (victim, how) != ("s3 answer", "half") else "after"
    return Strike(
        victim, chance.randrange(requests), moment, how if victim == "s3 answer" else "drop", chance.randint(1, 3)
    )
