"""Retries of HTTP requests with the waits and the limit of a `Backoff`.

Separate from `resources.clients.retrying`, because workers download inputs, and importing tenacity would slow their
start.
"""

from typing import Any, Self

from urllib3.util import Retry

from domain.retry import LONGEST_WAIT_S, Backoff


class HttpRetry(Retry):
    """Retry policy of an `HTTPAdapter` with the waits of a `Backoff` instead of urllib3's formula.

    A server may request a longer wait (`Retry-After`), up to 6 hours.

    Parameters
    ----------
    backoff : Backoff
        Waits, and the maximum number of requests.
    **options
        Further options of `urllib3.util.Retry`.
    """

    def __init__(self, *, backoff: Backoff, **options: Any) -> None:
        self._backoff = backoff
        total = None if backoff.attempts is None else backoff.attempts - 1
        super().__init__(
            **{"total": total, "retry_after_max": int(LONGEST_WAIT_S), "raise_on_status": False, **options}
        )

    def new(self, **options: Any) -> Self:
        """Return a copy with changed options: urllib3 counts down in copies."""
        return super().new(backoff=self._backoff, **options)

    def get_backoff_time(self) -> float:
        """Return the wait before the next request (s)."""
        return self._backoff.wait_after(len(self.history)) or 0.0
