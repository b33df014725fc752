"""Retries of client calls with the waits and the limit of a `Backoff`."""

from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception

from domain.retry import Backoff


def retrying(backoff: Backoff, *, is_transient: Callable[[BaseException], bool]) -> Retrying:
    """Return a tenacity controller that calls a function until it succeeds.

    Parameters
    ----------
    backoff : Backoff
        Waits, and the maximum number of calls.
    is_transient : callable
        Whether another call may succeed after an error; other errors, and the last one, are raised immediately.

    Returns
    -------
    Retrying
        Call it with the function and its arguments.
    """

    def wait_s(state: RetryCallState) -> float:
        return backoff.wait_after(state.attempt_number) or 0.0

    def is_last(state: RetryCallState) -> bool:
        return backoff.wait_after(state.attempt_number) is None

    return Retrying(retry=retry_if_exception(is_transient), stop=is_last, wait=wait_s, reraise=True)
