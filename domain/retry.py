"""The decision to try something again: which failures are transient, how long to wait, and when to give up.

Runs, delayed retries, lost runs, circuit breakers and the clients of servers all use this module. A `Backoff` only
computes; its caller waits.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import TransientError, is_full_disk
from domain.failures import FailureKind, JobError

LONGEST_WAIT_S = 6 * 3600.0
"""Longest wait before an attempt (s), so that a server which answers again is noticed on the same day."""

_MONTH_S = 30 * 24 * 3600.0

Delay = Annotated[float, Field(ge=0, le=_MONTH_S, allow_inf_nan=False)]
"""A wait declared by an author (s). More than a month is a mistake, such as another unit."""

ALWAYS_TRANSIENT = (ConnectionError, TimeoutError)
"""Exceptions of an analysis that are always transient."""

TRANSIENT_KINDS: frozenset[FailureKind] = frozenset({"server", "killed"})
"""Kinds of failure that may not recur although the analysis is unchanged."""

TRANSIENT_STATUSES = frozenset({408, 425, 429, *range(500, 600)})
"""HTTP statuses after which the same request may succeed later."""


class Backoff(BaseModel):
    """An exponential backoff: waits between attempts, with a maximum wait and a maximum number of attempts.

    Examples
    --------
    >>> backoff = Backoff(first_s=1, factor=2, longest_s=3, attempts=4)
    >>> [backoff.wait_after(attempt) for attempt in (1, 2, 3, 4)]
    [1.0, 2.0, 3.0, None]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_s: float = Field(ge=0, allow_inf_nan=False, description="Wait before the second attempt, in seconds.")
    factor: float = Field(
        default=2.0, ge=1, allow_inf_nan=False, description="Each further wait is this many times longer."
    )
    longest_s: float = Field(
        default=LONGEST_WAIT_S, ge=0, le=LONGEST_WAIT_S, description="No wait is longer, in seconds."
    )
    attempts: int | None = Field(
        ge=1, description="Maximum number of attempts, the first one included; None: until it succeeds."
    )

    def wait_after(self, attempt: int) -> float | None:
        """Return how long to wait after an attempt that failed.

        Parameters
        ----------
        attempt : int
            Number of the attempt, from 1.

        Returns
        -------
        float or None
            Seconds, never more than ``longest_s``; None when there is no further attempt.
        """
        if self.attempts is not None and attempt >= self.attempts:
            return None
        if not self.first_s:
            return 0.0
        try:
            return min(self.first_s * self.factor ** (max(attempt, 1) - 1), self.longest_s)
        except OverflowError:
            return self.longest_s

    @property
    def longest_wait_s(self) -> float:
        """The wait before the last attempt, which is the longest (s)."""
        if self.attempts is None:
            return self.longest_s
        return (self.wait_after(self.attempts - 1) if self.attempts > 1 else None) or 0.0


UNFINISHED_RUNS = Backoff(first_s=0, attempts=5)
"""Maximum number of consecutive runs that start and end without finishing a job; then the job fails as `lost`, because it is
probably what ends them."""

UNSTARTED_RUNS = Backoff(first_s=10, longest_s=600, attempts=None)
"""Waits between run requests whose runs never started: the launch fails, regardless of the job."""

PROBES = Backoff(first_s=600, attempts=None)
"""Waits before an open circuit breaker lets a few jobs through. Without end: a server may be unavailable for a week."""


class Retry(BaseModel):
    """How a job is retried after a transient failure; a permanent failure is not retried.

    First within the run (``max_attempts``); then by delayed retries, which the sensor requests (``later_rounds``), for servers
    that are unavailable for hours. No wait is longer than 6 hours.

    Examples
    --------
    >>> retry = Retry(max_attempts=3, delay_s=5, later_rounds=2, transient=("requests.ConnectTimeout",))
    >>> [retry.in_run.wait_after(attempt) for attempt in (1, 2, 3)]
    [5.0, 10.0, None]
    >>> [retry.later.wait_after(run) for run in (1, 2, 3)]
    [600.0, 1200.0, None]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: int = Field(default=3, ge=1, le=20, description="Executions in a run, the first one included.")
    delay_s: Delay = Field(default=5.0, description="Wait before the second execution, in seconds.")
    backoff: float = Field(
        default=2.0, ge=1, allow_inf_nan=False, description="Each further wait is this many times longer."
    )
    later_rounds: int = Field(default=5, ge=0, le=100, description="Later runs that try again; 0: a person must ask.")
    later_delay_s: Delay = Field(default=600.0, description="Wait before the first later round, in seconds.")
    transient: tuple[str, ...] = Field(
        default=(), description="Names of exceptions that are transient too, such as `requests.ConnectTimeout`."
    )

    @property
    def in_run(self) -> Backoff:
        """Executions inside one run."""
        return Backoff(first_s=self.delay_s, factor=self.backoff, attempts=self.max_attempts)

    @property
    def later(self) -> Backoff:
        """Runs: the requested one, and the delayed retries after it."""
        return Backoff(first_s=self.later_delay_s, factor=self.backoff, attempts=self.later_rounds + 1)


@dataclass(frozen=True)
class Decision:
    """The decision on a failed job.

    Attributes
    ----------
    action : str
        ``repeat`` in the same run; ``requeue`` for another run without counting a failure; ``defer`` to a delayed retry;
        ``give_up`` until an operator requeues it.
    wait_s : float
        Seconds before it is repeated, or before its delayed retry.
    """

    action: Literal["repeat", "requeue", "defer", "give_up"]
    wait_s: float = 0.0

    @property
    def retry_in_s(self) -> float | None:
        """Seconds until the delayed retry, for the ledger; None if there is none."""
        return self.wait_s if self.action == "defer" else None


def decide(retry: Retry, error: JobError, *, attempt: int | None, rounds: int) -> Decision:
    """Decide whether and when a failed job is retried.

    Parameters
    ----------
    retry : Retry
        Retry policy of the analysis.
    error : JobError
        Stored error of the job.
    attempt : int or None
        Number of executions in this run; None if the run has ended its attempts.
    rounds : int
        Number of delayed retries since an operator last requested the job.
    """
    if error.kind == "code_changed" and attempt is not None:  # this run would execute its old code again
        return Decision("requeue")
    if error.permanent:
        return Decision("give_up")
    wait_s = None if attempt is None else retry.in_run.wait_after(attempt)
    if wait_s is not None:
        return Decision("repeat", wait_s)
    wait_s = retry.later.wait_after(rounds + 1)
    return Decision("give_up") if wait_s is None else Decision("defer", wait_s)


def is_transient(error: BaseException, declared: tuple[str, ...] | None = None) -> bool:
    """Return whether the same work may succeed later.

    Parameters
    ----------
    error : BaseException
        The exception that was raised.
    declared : tuple of str, optional
        What an analysis raised: names of the exceptions that it declares transient, besides `ALWAYS_TRANSIENT`. The name of
        a class, with or without its module; a subclass counts as its base. None: the platform raised it, and turns every
        transient error of a client library into a `TransientError`.
    """
    if isinstance(error, TransientError) or is_full_disk(error):
        return True
    if declared is None:
        return False
    classes = type(error).__mro__
    known = {c.__qualname__ for c in classes} | {f"{c.__module__}.{c.__qualname__}" for c in classes}
    # a package shows `requests.ConnectTimeout` where Python says `requests.exceptions.ConnectTimeout`
    known |= {f"{c.__module__.partition('.')[0]}.{c.__qualname__}" for c in classes}
    return isinstance(error, ALWAYS_TRANSIENT) or not known.isdisjoint(declared)
