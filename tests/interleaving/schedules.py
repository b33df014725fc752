"""Every order of two actors that can make a difference, each with a name that replays it.

A schedule begins with either actor, and switches to the other one up to a number of times. Two rules leave out orders that
cannot make a difference, and both keep the number of switches:

- A switch away from an actor that is about to do step *s* is only worth trying if the other actor then does a step that
  conflicts with *s*. If all of its steps commute with *s*, the same is reached by the schedule that switches after *s*.
- Leases expire only right before an actor reads a time which it compares with a lease: in between, no actor sees it.

What a step conflicts with is said by its arguments alone (`accesses`), never by what it found, so nothing is left out
because a filter happened to match nothing.
"""

import re
import shutil
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import sha256
from itertools import count, groupby
from pathlib import Path
from unittest.mock import patch

from tests.interleaving.accesses import conflict
from tests.interleaving.actors import bring_to_rest
from tests.interleaving.invariants import outcome_of, problems_of, snapshot
from tests.interleaving.scenarios import BY_NAME, Scenario
from tests.interleaving.scheduler import TIME, Abandoned, Actor, Move, Scheduler, Step, StuckError, stay
from tests.interleaving.system import Servers, ServersDouble, System, use

Choice = Callable[[Sequence[str]], str]
"""Takes the actors that can move, and returns the next move."""


@dataclass(frozen=True)
class Schedule:
    """One schedule that was run.

    Attributes
    ----------
    scenario : str
        Whose.
    prefix : tuple of str
        The moves that were chosen; after them every actor goes on until it ends.
    moves : tuple of Move
        What happened.
    problems : tuple of str
        What must not be.
    complete : bool
        False if it was left because another schedule makes no difference.
    outcome : str
        The end state without names and times.
    """

    scenario: str
    prefix: tuple[str, ...]
    moves: tuple[Move, ...]
    problems: tuple[str, ...]
    complete: bool
    outcome: str = ""

    @property
    def name(self) -> str:
        """The name that replays it."""
        return f"{self.scenario}:{encoded(self.prefix)}"

    def text(self) -> str:
        """Return what happened, for a person."""
        lines = [f"{self.name}", *(f"  ! {one}" for one in self.problems)]
        for number, move in enumerate(self.moves):
            switched = number and self.moves[number - 1].name != move.name
            if move.step.kind != "clock" or switched:
                lines.append(f"  {number:3} {move.name} {move.step.what}")
        lines.append("  then two ticks with their runs")
        return "\n".join(lines)


def encoded(moves: Sequence[str]) -> str:
    """Return moves in short: ``A5B3TA``."""
    runs = [(name, len(list(group))) for name, group in groupby(moves)]
    return "".join(f"{name}{number if number > 1 else ''}" for name, number in runs) or "-"


def decoded(text: str) -> tuple[str, ...]:
    """Return the moves of a name."""
    return tuple(name for name, number in re.findall(r"([A-Z])(\d*)", text) for _ in range(int(number or 1)))


def explore(scenario: Scenario, folder: Path, *, reduce: bool = True) -> Iterator[Schedule]:
    """Run every schedule of a scenario with two actors that can make a difference, those with few switches first.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    folder : Path
        Local disk.
    reduce : bool
        Leave out what cannot make a difference; False only to show that it makes none.
    """
    trial = Trial(scenario, folder)
    todo: deque[tuple[str, ...]] = deque([(), ("B",)])
    while todo:
        schedule = trial.run(todo.popleft(), prune=reduce)
        yield schedule
        for prefix in _further(schedule, scenario, reduce=reduce):
            if TIME in prefix[-2:]:
                todo.appendleft(prefix)  # there are few of them, and what they find is rare
            else:
                todo.append(prefix)


def replay(name: str, folder: Path) -> Schedule:
    """Run the schedule of a name."""
    scenario, _, moves = name.partition(":")
    return Trial(BY_NAME[scenario], folder).run(decoded(moves), prune=False)


class Trial:
    """Runs schedules of one scenario, each from the same state.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    folder : Path
        Local disk.
    """

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario, self.folder = scenario, folder
        (folder / "inbox").mkdir(exist_ok=True)
        self._numbers, self._prepared = count(), 0

    def run(self, prefix: tuple[str, ...], *, prune: bool = True) -> Schedule:
        """Run one schedule: its first moves are chosen, and then as few switches as possible are made."""
        return self.run_with(lambda scheduler: _Chooser(prefix, scheduler, prune=prune), prefix)

    def run_with(self, make_choice: Callable[[Scheduler], Choice], prefix: tuple[str, ...] | None = None) -> Schedule:
        """Run one schedule.

        Parameters
        ----------
        make_choice : callable
            Takes the scheduler and returns what chooses its moves.
        prefix : tuple of str, optional
            The moves that name the schedule; by default all that are made.
        """
        self._clear()
        system = use(self.begin())
        with self._repeatable(self._prepared):
            system.failing |= self.scenario.failing
            scheduler = self._scheduler(system)
            system.start(scheduler)
            try:
                complete, found = _lived(scheduler, make_choice(scheduler)), list[str]()
            except StuckError as error:
                complete, found = False, [f"stuck: {error}"]
            system.end()
            problems = self._judged(system, scheduler) if complete else found
            outcome = outcome_of(system) if complete else ""
        names = tuple(move.name for move in scheduler.moves) if prefix is None else prefix
        return Schedule(
            self.scenario.name, names, tuple(scheduler.moves), tuple(problems), complete or bool(found), outcome
        )

    def begin(self) -> System:
        """Return a system in the state in which the actors meet; it is brought there once, and copied."""
        return copied_system(self.start)

    @cached_property
    def start(self) -> System:
        """The system in memory that was brought into the state in which the actors meet."""
        with self._repeatable(0):
            system = use(System(ServersDouble(), self.folder))
            self.scenario.prepare(system)
        self._prepared = next(self._numbers)
        return system

    def _clear(self) -> None:
        """Remove the private folders of earlier schedules, whose names come again."""
        shutil.rmtree(self.folder / "work", ignore_errors=True)

    def _scheduler(self, system: System) -> Scheduler:
        """Make the actors."""
        actors = []
        for name, make in zip("ABC", self.scenario.actors, strict=False):
            action = make(system)
            judges = name in self.scenario.judges
            actors.append(Actor(name, partial(action, system, name), judges=judges))
        return Scheduler(actors, expire=system.expire, is_leased=system.is_leased)

    def _judged(self, system: System, scheduler: Scheduler) -> list[str]:
        """Go on until nothing is left to do, and return what must not be."""
        found = [f"actor {a.name} raised {a.error!r}" for a in scheduler.actors.values() if a.error is not None]
        bring_to_rest(system, code=self.scenario.code)
        found += problems_of(system)
        before = snapshot(system)
        bring_to_rest(
            system, code=self.scenario.code, rounds=1
        )  # a tick that changes nothing leaves the next one the same
        if snapshot(system) != before:
            found.append("repeating: another tick changes something")
        return found

    def _repeatable(self, first: int) -> AbstractContextManager[object]:
        """Make the same uuids in every schedule."""
        self._numbers = count(first)

        def uuid4() -> uuid.UUID:
            return uuid.UUID(bytes=sha256(str(next(self._numbers)).encode()).digest()[:16], version=4)

        return patch.object(uuid, "uuid4", uuid4)


class _Chooser:
    """Chooses the moves of one schedule: those of its prefix, and then as few switches as possible."""

    def __init__(self, prefix: tuple[str, ...], scheduler: Scheduler, *, prune: bool) -> None:
        self._prefix, self._scheduler, self._prune = prefix, scheduler, prune

    def __call__(self, enabled: Sequence[str]) -> str:
        moves = self._scheduler.moves
        if self._prune and len(enabled) == 1 and _is_same_as_another(moves, enabled):
            raise Abandoned
        if len(moves) < len(self._prefix):
            name = self._prefix[len(moves)]
            return name if name == TIME or name in enabled else enabled[0]
        return stay(enabled, self._scheduler)


def _lived(scheduler: Scheduler, chooser: Choice) -> bool:
    """Run the actors; returns whether they came to their ends."""
    try:
        scheduler.run(chooser)
    except Abandoned:
        return False
    return True


def _is_same_as_another(moves: Sequence[Move], enabled: Sequence[str]) -> bool:
    """Return whether an actor has ended without a step that conflicts with what the other one was about to do."""
    if not moves or moves[-1].name in enabled:
        return False
    segment = _Segment.of(moves)
    return segment is not None and segment.chosen and segment.actor not in enabled and not segment.has_conflict


@dataclass
class _Segment:
    """The moves since the last switch.

    Attributes
    ----------
    actor : str
        Who makes them.
    left : Step or None
        What the other actor was about to do when it was left.
    chosen : bool
        Whether the scheduler chose to switch: that actor had not ended, and did not wait.
    has_conflict : bool
        Whether one of them conflicts with it.
    """

    actor: str
    left: Step | None
    chosen: bool
    has_conflict: bool = False

    @classmethod
    def of(cls, moves: Sequence[Move]) -> "_Segment | None":
        """Return the last segment of some moves."""
        found: _Segment | None = None
        for move in moves:
            if move.name != TIME:
                found = cls.after(found, move)
        return found

    @classmethod
    def after(cls, segment: "_Segment | None", move: Move) -> "_Segment":
        """Return the segment that a move belongs to."""
        if segment is None or segment.actor != move.name:
            left = move.waiting.get(segment.actor) if segment is not None else None
            segment = cls(move.name, left, chosen=left is not None and left.kind != "poll")
        else:
            segment = copy(segment)
        if segment.left is not None and conflict(segment.left.accesses, move.step.accesses):
            segment.has_conflict = True
        return segment


def _further(schedule: Schedule, scenario: Scenario, *, reduce: bool) -> Iterator[tuple[str, ...]]:
    """Yield the prefixes of the schedules that differ from this one by one more switch, or one more expiry."""
    segment: _Segment | None = None
    switches = times = 0
    for number, move in enumerate(schedule.moves):
        if move.name == TIME:
            times += 1
            continue
        before, segment = segment, _Segment.after(segment, move)
        changed = before is not None and before.actor != segment.actor
        switches += changed and segment.chosen
        if number < len(schedule.prefix):
            continue
        names = tuple(one.name for one in schedule.moves[:number])
        may_switch = before is not None and not changed and (before.left is None or before.has_conflict or not reduce)
        matters = bool(move.step.accesses) or not reduce
        if may_switch and switches < scenario.switches and matters and move.step.kind != "poll":
            yield from ((*names, other) for other in move.waiting)
        if (move.judges or not reduce) and move.leased and times < scenario.times:
            yield (*names, TIME, move.name)


def copied_system(system: System, servers: Servers | None = None) -> System:
    """Return a system in the same state that shares nothing which changes.

    Parameters
    ----------
    system : System
        A system over servers in memory.
    servers : Servers, optional
        Servers of the copy, which hold the same already; by default servers in memory.
    """
    if servers is None:
        servers = ServersDouble()
        servers.load(system.servers.dump())
    dagster = replace(
        system.dagster,
        partitions=list(system.dagster.partitions),
        runs=dict(system.dagster.runs),
        materializations=list(system.dagster.materializations),
        observations=list(system.dagster.observations),
        checks=set(system.dagster.checks),
    )
    return replace(
        system,
        servers=servers,
        dagster=dagster,
        failing=set(system.failing),
        executions=list(system.executions),
        changes=list(system.changes),
        acts=list(system.acts),
        queue=list(system.queue),
        launched=set(system.launched),
        seen=list(system.seen),
        calls=list(system.calls),
        clock=count(system.moment()),
    )
