"""The cursor of a sensor: state between two ticks. It is only an optimization: without it a tick does more work."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class Memory:
    """The cursor of a sensor of job files.

    Attributes
    ----------
    bad : str or None
        Digest of the rejected files that were last reported.
    after : str
        Path up to which the inbox is listed; empty if the next listing starts from the beginning.
    listed : float or None
        End of the last full listing, by the clock of the database (s since 1970).
    """

    bad: str | None = None
    after: str = ""
    listed: float | None = None

    @classmethod
    def read(cls, cursor: str | None) -> Self:
        """Read a cursor; an invalid one is treated as empty. From one of an earlier version only the digest is used.

        Parameters
        ----------
        cursor : str or None
            Text returned by `written`.
        """
        try:
            found = json.loads(cursor or "{}")
        except ValueError:
            return cls(bad=cursor)
        known: dict[str, Any] = {f.name: found[f.name] for f in fields(cls) if f.name in found} if _is(found) else {}
        return cls(**known)

    def is_due(self, now: float, listing_s: float) -> bool:
        """Return whether the inbox must be listed: a listing is incomplete, or the interval has passed.

        Parameters
        ----------
        now : float
            Time by the clock of the database (s since 1970).
        listing_s : float
            Interval between full listings (s).
        """
        return bool(self.after) or self.listed is None or not self.listed <= now < self.listed + listing_s

    def written(self) -> str:
        """Return the cursor as text."""
        return json.dumps(asdict(self))


def _is(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    after, bad, listed = found.get("after", ""), found.get("bad"), found.get("listed")
    return isinstance(after, str) and isinstance(bad, str | None) and isinstance(listed, float | int | None)
