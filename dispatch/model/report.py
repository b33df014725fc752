"""A planned dispatch, with counts, tables, and the reason for everything that is left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dispatch.model.options import DispatchOptions
from dispatch.model.plan import PlannedJob
from dispatch.model.skips import Skip, counts_of
from domain.messages import counted

SHOWN = 20
"""Maximum number of shown jobs, and of shown skips for each reason; JSON has all."""


@dataclass(frozen=True)
class DispatchPlan:
    """The plan of a dispatch.

    Attributes
    ----------
    analysis : str
        Name of the analysis.
    options : DispatchOptions
        Options that the plan was made with.
    jobs : tuple of PlannedJob
        Jobs to write, in order.
    skips : tuple of Skip
        Records, files and sets that are left out, with reasons.
    warnings : tuple of str
        Messages about probable mistakes in the options.
    records : int
        Number of records that were found.
    query : str or None
        The query as canonical JSON; None if the assets were named.
    given : dict
        Parameters that every job file carries.
    outdated : frozenset of str
        Keys of jobs with a result from an older code version, which are requested again.
    """

    analysis: str
    options: DispatchOptions
    jobs: tuple[PlannedJob, ...]
    skips: tuple[Skip, ...]
    warnings: tuple[str, ...] = ()
    records: int = 0
    query: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    outdated: frozenset[str] = frozenset()

    @property
    def counts(self) -> dict[str, int]:
        """Number of skips for each reason."""
        return {reason.value: number for reason, number in counts_of(self.skips).items()}

    @property
    def summary(self) -> str:
        """One line with the numbers of records, jobs and skips."""
        again = f" ({len(self.outdated)} of them have a result from an older code version)" if self.outdated else ""
        return f"{counted(self.records, 'record')} found; {counted(len(self.jobs), 'job')} to write{again}; {len(self.skips)} left out."

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the rows of a table: action, object and details; at most `SHOWN` of a kind."""
        table = [
            ("write", job.description, "made by other code before" if job.job_key in self.outdated else "")
            for job in self.jobs[:SHOWN]
        ]
        table += _more("write", len(self.jobs))
        for reason, number in counts_of(self.skips).items():
            shown = [skip for skip in self.skips if skip.reason is reason][:SHOWN]
            table += [(f"skip: {reason}", skip.what, skip.detail) for skip in shown]
            table += _more(f"skip: {reason}", number)
        return table

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "analysis": self.analysis,
            "records": self.records,
            "query": self.query,
            "counts": {"write": len(self.jobs), **self.counts},
            "warnings": list(self.warnings),
            "jobs": [
                {
                    "job_key": job.job_key,
                    "s3_location": list(job.candidate.locations),
                    "file_location": list(job.candidate.files),
                    "distributed_parameters": dict(job.distributed),
                    "group_metadata": job.candidate.group,
                    "outdated": job.job_key in self.outdated,
                }
                for job in self.jobs
            ],
            "skipped": [{"reason": skip.reason.value, "what": skip.what, "detail": skip.detail} for skip in self.skips],
        }


def _more(what: str, number: int) -> list[tuple[str, str, str]]:
    return [(what, f"… and {number - SHOWN} more", "")] if number > SHOWN else []
