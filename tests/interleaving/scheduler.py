"""Who moves next: actors run the product's code in threads, and stop before every request.

One thread holds the baton. A step of an actor is the request that it stopped before and its own code up to the next
request, which no other actor sees. Threads that an actor starts stop in its place; uploads of one attempt, which an actor
sends side by side, are one step.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.interleaving.accesses import Accesses

TIME = "T"
"""The move by which time passes: every lease that is held expires."""

PATIENCE_S = 60.0
_POLLS = 12
_POLLS_UNTIL_TIME_PASSES = 3


class Abandoned(BaseException):
    """Raised in an actor whose schedule is not continued."""


class StuckError(AssertionError):
    """An actor neither stops nor ends, or polls for ever."""


@dataclass(frozen=True)
class Step:
    """A request that an actor is about to send, or a look at the clock.

    Attributes
    ----------
    actor : str
        Name of the actor: one letter.
    what : str
        The operation, and on which object.
    accesses : tuple of Access
        What it reads and writes.
    kind : str
        ``poll`` if the actor waits for another one; ``clock`` if it only reads the time.
    """

    actor: str
    what: str
    accesses: Accesses = ()
    kind: Literal["request", "poll", "clock"] = "request"


@dataclass
class Move:
    """One move that was made.

    Attributes
    ----------
    step : Step
        What was done.
    waiting : dict of str to Step
        What the other actors were about to do.
    leased : bool
        Whether a lease was held, for a look at the clock.
    judges : bool
        Whether the time that was read here was compared with a lease.
    free : bool
        Whether the actor before had ended or polled, so that this move is no switch that the scheduler chose.
    """

    step: Step
    waiting: dict[str, Step]
    leased: bool = False
    judges: bool = False
    free: bool = False

    @property
    def name(self) -> str:
        """The letter of the move."""
        return self.step.actor


@dataclass
class Actor:
    """One live actor.

    Attributes
    ----------
    name : str
        One letter.
    act : callable
        What it does.
    is_run : bool
        Whether it executes a run, which waits for other runs by polling.
    judges : bool
        Whether it compares every time that it reads with something.
    error : Exception or None
        What ended it.
    """

    name: str
    act: Callable[[], None]
    is_run: bool = False
    judges: bool = False
    error: Exception | None = None
    pending: Step | None = None
    ended: bool = False
    left_at: Step | None = None
    polls: int = 0
    reads: int = 0
    thread: threading.Thread | None = None
    baton: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    uploading: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Scheduler:
    """Lets actors move one at a time.

    Parameters
    ----------
    actors : sequence of Actor
        In the order in which they move if nothing else is said.
    expire : callable
        Lets every lease expire.
    is_leased : callable
        Returns whether a lease is held.
    """

    def __init__(self, actors: Sequence[Actor], *, expire: Callable[[], None], is_leased: Callable[[], bool]) -> None:
        self.actors = {actor.name: actor for actor in actors}
        self.moves: list[Move] = []
        self.abandoned = False
        self._expire, self.is_leased = expire, is_leased
        self._stopped = threading.Semaphore(0)
        self._clock_reads: dict[str, int] = {}

    def run(self, choose: Callable[[Sequence[str]], str]) -> None:
        """Run all actors to their ends.

        Parameters
        ----------
        choose : callable
            Takes the actors that can move and returns the next move, which may also be `TIME`.
        """
        for actor in self.actors.values():
            actor.thread = threading.Thread(target=self._live, args=(actor,), daemon=True)
            actor.thread.start()
            self._wait_for(actor)
        try:
            self._schedule(choose)
        finally:
            self.abandoned = True
            for actor in self.actors.values():
                actor.left_at = actor.pending
                if actor.pending is not None:
                    actor.baton.release()
            for actor in self.actors.values():
                if actor.thread is not None:
                    actor.thread.join(PATIENCE_S)

    def _schedule(self, choose: Callable[[Sequence[str]], str]) -> None:
        """Choose moves until every actor has ended."""
        previous: Actor | None = None
        while enabled := [name for name, actor in self.actors.items() if not actor.ended]:
            name = choose(enabled)
            if name == TIME:
                self._pass_time()
                continue
            actor = self.actors[name]
            self._move(actor, free=previous is None or previous.ended or _polls(previous))
            previous = actor

    def stop(self, name: str, what: str, accesses: Accesses, *, kind: Literal["request", "clock"] = "request") -> None:
        """Stop in an actor's place until it may move on; called before every request."""
        actor = self.actors[name]
        self._check(actor)
        step = Step(name, what, accesses, "poll" if self._is_poll(actor, what) else kind)
        actor.uploading = ""
        self._stand(actor, step)

    def stop_before_upload(self, name: str, attempt: str, accesses: Accesses) -> None:
        """Stop before the first of the files that an attempt uploads side by side."""
        actor = self.actors[name]
        self._check(actor)
        with actor.lock:
            if actor.uploading != attempt:
                actor.uploading = attempt
                self._stand(actor, Step(name, f"upload the files of {attempt}", accesses))

    def abandoned_at(self, what: str) -> bool:
        """Return whether an actor was abandoned right before a request."""
        return any(a.left_at is not None and a.left_at.what.startswith(what) for a in self.actors.values())

    def note_judgement(self, name: str) -> None:
        """Note that the time which an actor read last is compared with leases."""
        index = self._clock_reads.get(name)
        if index is not None:
            self.moves[index].judges = True

    def _is_poll(self, actor: Actor, what: str) -> bool:
        """Return whether an actor looks again at jobs that another one has: a run reads its jobs once for each pass."""
        if threading.current_thread() is not actor.thread or not what.startswith("find jobs"):
            return False
        actor.reads += 1
        return actor.reads > 1 and actor.is_run

    def _stand(self, actor: Actor, step: Step) -> None:
        """Hand the baton back and wait for it."""
        actor.pending = step
        self._stopped.release()
        actor.baton.acquire()
        self._check(actor)

    def _check(self, actor: Actor) -> None:
        """End an actor that is abandoned."""
        if self.abandoned:
            raise Abandoned(actor.name)

    def _live(self, actor: Actor) -> None:
        """Do what an actor does, in its thread."""
        try:
            actor.act()
        except Abandoned:
            pass
        except Exception as error:  # noqa: BLE001  judged with the end state
            actor.error = error
        actor.ended, actor.pending = True, None
        self._stopped.release()

    def _wait_for(self, actor: Actor) -> None:
        """Wait until an actor stops or ends."""
        if not self._stopped.acquire(timeout=PATIENCE_S):
            msg = f"actor {actor.name} neither stops nor ends"
            raise StuckError(msg)

    def _move(self, actor: Actor, *, free: bool) -> None:
        """Let an actor make its step."""
        step = actor.pending
        if step is None:
            msg = f"actor {actor.name} has ended"
            raise StuckError(msg)
        others = {n: a.pending for n, a in self.actors.items() if a is not actor and a.pending is not None}
        self.moves.append(Move(step, others, leased=step.kind == "clock" and self.is_leased(), free=free))
        if step.kind == "clock":
            self.moves[-1].judges = actor.judges
            self._clock_reads[actor.name] = len(self.moves) - 1
        if step.kind == "poll":
            self._poll(actor)
        actor.baton.release()
        self._wait_for(actor)

    def _poll(self, actor: Actor) -> None:
        """Let time pass if no actor is left to wait for."""
        actor.polls += 1
        if actor.polls > _POLLS:
            msg = f"actor {actor.name} polls for ever"
            raise StuckError(msg)
        if actor.polls % _POLLS_UNTIL_TIME_PASSES == 0 and all(a.ended for a in self.actors.values() if a is not actor):
            self._expire()

    def _pass_time(self) -> None:
        """Let every lease expire."""
        self.moves.append(Move(Step(TIME, "every lease expires"), {}, free=True))
        self._expire()


def _polls(actor: Actor) -> bool:
    """Return whether an actor waits for another one."""
    return actor.pending is not None and actor.pending.kind == "poll"


def stay(enabled: Sequence[str], scheduler: Scheduler) -> str:
    """Return the actor that moves if nothing else is said: the same one as before, unless it has ended or polls."""
    moves = [move.name for move in scheduler.moves if move.name != TIME]
    busy = [name for name in enabled if not _polls(scheduler.actors[name])]
    if moves and moves[-1] in busy:
        return moves[-1]
    return (busy or [name for name in enabled if not moves or name != moves[-1]] or list(enabled))[0]
