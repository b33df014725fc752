"""Requests over http, repeated with the waits and the bound of a `Backoff`.

Apart from `resources.clients.retrying`, because workers download inputs, and tenacity would add to the start of each of them.
"""

from typing import Any, Self

from urllib3.util import Retry

from domain.retry import LONGEST_WAIT_S, Backoff


class HttpRetry(Retry):
    """Repeats requests inside an `HTTPAdapter`, with the waits of a `Backoff` in place of urllib3's own formula.

    A server may name a longer wait (`Retry-After`), up to 6 hours.

    Parameters
    ----------
    backoff : Backoff
        Waits, and the maximum number of requests.
    **options
        As `urllib3.util.Retry` takes them.
    """

    def __init__(self, *, backoff: Backoff, **options: Any) -> None:
        self._backoff = backoff
        total = None if backoff.attempts is None else backoff.attempts - 1
        super().__init__(
            **{"total": total, "retry_after_max": int(LONGEST_WAIT_S), "raise_on_status": False, **options}
        )

    def new(self, **options: Any) -> Self:
        """Return the same with what has changed since: urllib3 counts down in copies."""
        return super().new(backoff=self._backoff, **options)

    def get_backoff_time(self) -> float:
        """Return how long to wait before the next request (s)."""
        return self._backoff.wait_after(len(self.history)) or 0.0
