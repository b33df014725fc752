"""How patiently a job that failed for a transient reason is tried again: inside its run, and later by the sensor."""

from pydantic import BaseModel, ConfigDict, Field

LONGEST_WAIT_S = 6 * 3600.0
"""No wait between two rounds is longer, so that a server which is back is noticed the same day."""

ALWAYS_TRANSIENT = (ConnectionError, TimeoutError)
"""Exceptions of an analysis that are transient without being named."""


class Retry(BaseModel):
    """How a job that failed for a transient reason is tried again; a permanent failure never is.

    First at once, inside the run (``max_attempts``); then in later rounds, by the sensor (``later_rounds``), for servers that
    are away for hours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: int = Field(default=3, ge=1, le=20, description="Executions in a run, the first one included.")
    delay_s: float = Field(default=5.0, ge=0, description="Wait before the second execution, in seconds.")
    backoff: float = Field(default=2.0, ge=1, description="Each further wait is this many times longer.")
    later_rounds: int = Field(default=5, ge=0, le=100, description="Later runs that try again; 0: a person must ask.")
    later_delay_s: float = Field(default=600.0, ge=0, description="Wait before the first later round, in seconds.")
    transient: tuple[str, ...] = Field(
        default=(), description="Names of exceptions that are transient too, such as `requests.ConnectTimeout`."
    )


def wait_before_round(retry: Retry, rounds: int) -> float | None:
    """Return how long a job waits for its next round.

    Parameters
    ----------
    retry : Retry
        The analysis's policy.
    rounds : int
        Later rounds that the job has had since a person last asked for it.

    Returns
    -------
    float or None
        Seconds, never more than `LONGEST_WAIT_S`; None when it has had all of them.
    """
    if rounds >= retry.later_rounds:
        return None
    try:
        return min(retry.later_delay_s * retry.backoff**rounds, LONGEST_WAIT_S)
    except OverflowError:
        return LONGEST_WAIT_S


def is_transient(error: BaseException, names: tuple[str, ...]) -> bool:
    """Tell whether what an analysis raised may go away by itself.

    Parameters
    ----------
    error : BaseException
        What was raised.
    names : tuple of str
        Exceptions that the analysis declares transient: the name of a class, with or without its module; a subclass
        counts as its base.
    """
    classes = type(error).__mro__
    known = {c.__qualname__ for c in classes} | {f"{c.__module__}.{c.__qualname__}" for c in classes}
    # a package shows `requests.ConnectTimeout` where Python says `requests.exceptions.ConnectTimeout`
    known |= {f"{c.__module__.partition('.')[0]}.{c.__qualname__}" for c in classes}
    return isinstance(error, ALWAYS_TRANSIENT) or not known.isdisjoint(names)
