"""Which actors meet, and in which state: each scenario is small, and every order of its actors is tried."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import dagster as dg

from tests.interleaving.actor_resources import connections, instance
from tests.interleaving.actors import (
    Action,
    archives,
    bring_to_rest,
    cancels,
    cleans,
    drain,
    forces,
    in_turn,
    invalidates,
    rekeys,
    repairs,
    reruns,
    resumes,
    run,
    sensor_tick,
    submits,
)
from tests.interleaving.scheduler import Abandoned, Actor, Scheduler
from tests.interleaving.system import NAME, PLATFORM, System

Prepare = Callable[[System], None]


@dataclass(frozen=True)
class Scenario:
    """Two actors or more that meet.

    Attributes
    ----------
    name : str
        Part of the name of every schedule.
    prepare : callable
        Brings a system into the state in which they meet.
    actors : sequence of callable
        What they do; they are called A, B and so on.
    judges : str
        Which of them compare every time that they read with something.
    code : str
        Code of the platform when all have ended.
    switches, times : int
        Maximum number of switches, and of moments at which leases expire.
    failing : set of int
        Which executions fail.
    """

    name: str
    prepare: Prepare
    actors: Sequence[Callable[[System], Action]]
    judges: str = ""
    code: str = "first"
    switches: int = 3
    times: int = 1
    failing: frozenset[int] = frozenset()


def requested(system: System) -> None:
    """Store a job, and let the sensor request its run."""
    submits()(system, PLATFORM)
    sensor_tick()(system, PLATFORM)


def done(system: System) -> None:
    """Let a job be done."""
    requested(system)
    bring_to_rest(system, code="first", rounds=1)


def requested_again(system: System) -> None:
    """Let a job that was done be requested again by force, with its run."""
    done(system)
    forces()(system, PLATFORM)
    sensor_tick()(system, PLATFORM)


def failed(system: System) -> None:
    """Let a job fail."""
    requested(system)
    system.failing.add(1)
    drain(system, code="first")


def crashed(before: str) -> Prepare:
    """Return a state in which the run of a job has died right before a request, and its lease has expired."""

    def prepare(system: System) -> None:
        """Let the run die there."""
        requested(system)
        run_id, _ = system.queue[0]
        actor = Actor("X", partial(sensor_run(system), system, "X"))
        scheduler = Scheduler([actor], expire=system.expire, is_leased=system.is_leased)
        system.start(scheduler)
        with suppress(Abandoned):
            scheduler.run(partial(_until, scheduler, before))
        system.end()
        if not scheduler.abandoned_at(before):
            message = f"the run never came to `{before}`"
            raise AssertionError(message)
        system.expire()
        instance(system, PLATFORM).end(run_id, dg.DagsterRunStatus.FAILURE)

    return prepare


def _until(scheduler: Scheduler, before: str, enabled: Sequence[str]) -> str:
    """Go on until the only actor is about to send a request."""
    pending = scheduler.actors[enabled[0]].pending
    if pending is not None and pending.what.startswith(before):
        raise Abandoned
    return enabled[0]


complete = crashed("update_one jobs")
"""A run has died when its attempt was complete, before it announced the commit."""

committing = crashed("insert_one records")
"""A run has died between the announcement of its commit and the record."""

committed = crashed("bulk_write jobs")
"""A run has died between the record and the end of its claim."""


def released(system: System) -> None:
    """Let a run die between the announcement of its commit and the record, and a tick release its job."""
    committing(system)
    connections(system, PLATFORM).ledger.claims.release_lost(NAME, dead_runs=[])


def broken(system: System) -> None:
    """Let two jobs fail in the same way, so that the circuit breaker opens, and a third one wait."""
    for number in (1, 2):
        submits(code="fragile", number=number)(system, PLATFORM)
    sensor_tick(code="fragile")(system, PLATFORM)
    system.failing |= {1, 2}
    drain(system, code="fragile")
    submits(code="fragile", number=3)(system, PLATFORM)
    sensor_tick(code="fragile")(system, PLATFORM)


def recovering(system: System) -> None:
    """Let the third job succeed, and a fourth one wait: the next tick closes the breaker."""
    broken(system)
    run(by_hand=True, code="fragile", jobs=slice(2, 3))(system, PLATFORM)
    submits(code="fragile", number=4)(system, PLATFORM)


def sensor_run(system: System) -> Action:
    """Return the run that the sensor has requested; it is not executed when all have ended."""
    run_id, keys = system.queue.pop(0)
    return run(run_id=run_id, keys=keys)


def always(action: Action) -> Callable[[System], Action]:
    """Return an actor that needs nothing of the system."""
    return lambda _: action


SCENARIOS = (
    Scenario("two-runs", requested, (sensor_run, always(run(by_hand=True)))),
    Scenario("tick-vs-run", requested, (sensor_run, always(sensor_tick()))),
    Scenario("force-vs-run", requested, (sensor_run, always(forces()))),
    Scenario("force-vs-reuse", done, (always(run(by_hand=True)), always(forces()))),
    Scenario("force-after-rival", requested, (sensor_run, always(in_turn((run(by_hand=True), forces())))), switches=2),
    Scenario("force-vs-complete", complete, (always(run(by_hand=True)), always(forces()))),
    Scenario("force-vs-failing-run", requested_again, (sensor_run, always(sensor_tick())), failing=frozenset({2})),
    Scenario("forced-run-vs-run", done, (always(run(by_hand=True, force="look")), always(run(by_hand=True)))),
    Scenario(
        "forced-run-vs-forced-run",
        done,
        (always(run(by_hand=True, force="look")), always(run(by_hand=True, force="again"))),
        switches=2,
    ),
    Scenario("cancel-vs-run", requested, (sensor_run, always(cancels()))),
    Scenario("cancel-vs-run-by-hand", requested, (always(run(by_hand=True)), always(cancels()))),
    Scenario("cancel-vs-forced-run", requested_again, (sensor_run, always(cancels()))),
    Scenario("cancel-and-rerun-vs-run", requested, (sensor_run, always(in_turn((cancels(), reruns()))))),
    Scenario("invalidate-vs-reuse", done, (always(run(by_hand=True)), always(invalidates()))),
    Scenario("invalidate-vs-forced-run", done, (always(run(by_hand=True, force="look")), always(invalidates()))),
    Scenario(
        "invalidate-after-rival",
        requested,
        (sensor_run, always(in_turn((run(by_hand=True), invalidates())))),
        switches=2,
    ),
    Scenario(
        "invalidate-and-rerun-vs-run", done, (always(run(by_hand=True)), always(in_turn((invalidates(), reruns()))))
    ),
    Scenario("new-code-vs-run", requested, (sensor_run, always(submits(code="second"))), code="second"),
    Scenario("new-code-vs-rerun", done, (always(run(by_hand=True)), always(submits(code="second"))), code="second"),
    Scenario("rekey-vs-run", requested, (sensor_run, always(rekeys())), code="third"),
    Scenario("archive-vs-run", done, (always(run(by_hand=True, force="look")), always(archives()))),
    Scenario("archive-vs-force", done, (always(forces()), always(archives()))),
    Scenario("repair-vs-run", requested, (sensor_run, always(repairs())), judges="B"),
    Scenario("repair-vs-invalidate", done, (always(invalidates()), always(repairs())), judges="B"),
    Scenario("clean-vs-run", requested, (sensor_run, always(cleans())), judges="B"),
    Scenario("clean-vs-complete", complete, (always(run(by_hand=True)), always(cleans())), judges="B"),
    Scenario("force-vs-tick", done, (always(sensor_tick()), always(forces()))),
    Scenario("force-vs-recovery", committing, (always(run(by_hand=True)), always(forces()))),
    Scenario("force-vs-released", released, (always(run(by_hand=True)), always(forces()))),
    Scenario("cancel-vs-recovery", committing, (always(run(by_hand=True)), always(cancels()))),
    Scenario("invalidate-vs-recovery", committed, (always(run(by_hand=True)), always(invalidates()))),
    Scenario("clean-vs-recovery", committing, (always(run(by_hand=True)), always(cleans())), judges="B"),
    Scenario("two-recoveries", committing, (always(run(by_hand=True)), always(run(by_hand=True)))),
    Scenario("force-vs-tick-after-crash", committed, (always(sensor_tick()), always(forces()))),
    Scenario("submit-vs-tick", complete, (always(sensor_tick()), always(submits()))),
    Scenario("two-ticks", requested, (always(sensor_tick()), always(sensor_tick()))),
    Scenario("invalidate-vs-rerun", done, (always(invalidates()), always(reruns()))),
    Scenario("resume-vs-tick", broken, (always(sensor_tick(code="fragile")), always(resumes())), code="fragile"),
    Scenario(
        "resume-vs-failing-run",
        broken,
        (always(run(by_hand=True, code="fragile", jobs=slice(2))), always(resumes())),
        code="fragile",
        failing=frozenset({3, 4}),
    ),
    Scenario(
        "tick-vs-failing-run",
        broken,
        (always(in_turn((resumes(), run(by_hand=True, code="fragile")))), always(sensor_tick(code="fragile"))),
        code="fragile",
        failing=frozenset({3, 4}),
    ),
    Scenario(
        "tick-vs-resume-and-failing-run",
        recovering,
        (
            always(sensor_tick(code="fragile")),
            always(in_turn((resumes(), run(by_hand=True, code="fragile", jobs=slice(2))))),
        ),
        code="fragile",
        failing=frozenset({4, 5}),
        switches=2,
    ),
)
"""Every scenario, the most frequent meetings first."""

TRIOS = (
    Scenario("two-runs-and-force", requested, (sensor_run, always(run(by_hand=True)), always(forces()))),
    Scenario("two-runs-and-cancel", requested, (sensor_run, always(run(by_hand=True)), always(cancels()))),
    Scenario(
        "two-runs-and-invalidate",
        done,
        (always(run(by_hand=True, force="look")), always(run(by_hand=True)), always(invalidates())),
    ),
    Scenario("run-tick-force", requested, (sensor_run, always(sensor_tick()), always(forces()))),
    Scenario(
        "run-tick-cancel-rerun", requested, (sensor_run, always(sensor_tick()), always(in_turn((cancels(), reruns()))))
    ),
    Scenario(
        "run-tick-new-code",
        requested,
        (sensor_run, always(sensor_tick()), always(submits(code="second"))),
        code="second",
    ),
    Scenario(
        "run-repair-invalidate",
        done,
        (always(run(by_hand=True, force="look")), always(repairs()), always(invalidates())),
        judges="B",
    ),
    Scenario(
        "run-clean-force", committing, (always(run(by_hand=True)), always(cleans()), always(forces())), judges="B"
    ),
    Scenario(
        "two-people-and-run",
        done,
        (always(run(by_hand=True)), always(in_turn((forces(), invalidates()))), always(reruns())),
    ),
)
"""Three actors: their orders are too many, so random ones are tried."""

BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, *TRIOS)}
