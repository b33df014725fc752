"""The circuit breaker: stops an analysis when most jobs fail in the same way, so that no night of computing is lost."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from domain.failures import ENDED_BY_PEOPLE, JobError

NO_EVIDENCE = frozenset({*ENDED_BY_PEOPLE, "code_changed", "unknown_job"})
"""Kinds of failures that are not caused by the analysis."""

_FRAME = re.compile(r'File "[^"]*?([^"/\\]+)", line \d+, in (\S+)')
_VARYING = (
    (re.compile(r"[a-z][a-z0-9+.\-]*://\S+", re.IGNORECASE), "<url>"),
    (re.compile(r"(?:/[^\s'\":]+)+"), "<path>"),
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_NUMBERS = re.compile(r"\b[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b|\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_LENGTH = 160


class Breaker(BaseModel):
    """When an analysis stops: number of equal failures, and their share of the latest ended jobs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(default=10, ge=2, description="Failures in the same way.")
    share: float = Field(default=0.5, ge=0, lt=1, description="They are more than this share of the latest jobs.")


@dataclass(frozen=True)
class Trip:
    """Why a breaker opens.

    Attributes
    ----------
    signature : str
        Common part of the failures; see `signature`.
    kind, example : str
        Kind and message of one of them.
    failures, ended : int
        Number of equal failures, and of considered jobs.
    """

    signature: str
    kind: str
    example: str
    failures: int
    ended: int

    def message(self) -> str:
        """Return the reason as a sentence."""
        return f"{self.failures} of the latest {self.ended} jobs failed in the same way ({self.kind}): {self.example}"


def signature(error: JobError) -> str:
    """Return the part of an error that failures with the same cause share.

    It consists of kind, position in the author's code, and the message without parts that differ between jobs: URLs,
    paths, quoted names and numbers.

    Parameters
    ----------
    error : JobError
        Stored error of a failed job.
    """
    frames = _FRAME.findall(error.traceback)
    place = f" at {frames[-1][0]}:{frames[-1][1]}" if frames else ""
    message = error.message.splitlines()[0] if error.message else ""
    for pattern, instead in _VARYING:
        message = pattern.sub(instead, message)
    message = _NUMBERS.sub("#", _QUOTED.sub("…", message))
    return f"{error.kind}{place}: {message[:_LENGTH]}"


def trip(ended: Sequence[JobError | None], breaker: Breaker) -> Trip | None:
    """Decide whether an analysis has to stop.

    Parameters
    ----------
    ended : sequence of JobError or None
        Errors of the latest ended jobs; None for a job with a result.
    breaker : Breaker
        Number and share of equal failures that stop the analysis.

    Returns
    -------
    Trip or None
        The reason to stop; None if there is none.
    """
    counted = [error for error in ended if error is None or error.kind not in NO_EVIDENCE]
    found = Counter(signature(error) for error in counted if error is not None).most_common(1)
    if not found:
        return None
    common, number = found[0]
    if number < breaker.failures or number <= breaker.share * len(counted):
        return None
    example = next(error for error in counted if error is not None and signature(error) == common)
    return Trip(common, example.kind, example.message.splitlines()[0][:500], number, len(counted))
