"""What a sensor keeps in its cursor between two ticks. Nothing depends on it: without it a tick only does more."""

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
        Path up to which the inbox is listed; empty: the next listing begins anew.
    listed : float or None
        When the last whole listing ended, in the database's time (s since 1970).
    """

    bad: str | None = None
    after: str = ""
    listed: float | None = None

    @classmethod
    def read(cls, cursor: str | None) -> Self:
        """Read a cursor; one that cannot be read counts as none, as does that of an earlier version but for its digest.

        Parameters
        ----------
        cursor : str or None
            As `written` gave it.
        """
        try:
            found = json.loads(cursor or "{}")
        except ValueError:
            return cls(bad=cursor)
        known: dict[str, Any] = {f.name: found[f.name] for f in fields(cls) if f.name in found} if _is(found) else {}
        return cls(**known)

    def is_due(self, now: float, listing_s: float) -> bool:
        """Tell whether the inbox is to be listed: a listing has not ended, or the last one is long ago.

        Parameters
        ----------
        now : float
            The database's time (s since 1970).
        listing_s : float
            How long to wait after a whole listing (s).
        """
        return bool(self.after) or self.listed is None or not self.listed <= now < self.listed + listing_s

    def written(self) -> str:
        """Return the cursor as text."""
        return json.dumps(asdict(self))


def _is(found: Any) -> bool:
    """Tell whether what was read can be a cursor."""
    if not isinstance(found, dict):
        return False
    after, bad, listed = found.get("after", ""), found.get("bad"), found.get("listed")
    return isinstance(after, str) and isinstance(bad, str | None) and isinstance(listed, float | int | None)
