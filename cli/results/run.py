"""Listing the results of an analysis: all of them, or page by page those that a person asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.job.state import JobState
from domain.result.filter import conditions
from operations.breakers import breaker_note
from operations.platform import Platform
from resources.records.search import find_records, left_out
from results.summaries import ResultSummary, results_among, results_of


@dataclass(frozen=True)
class ListQuery:
    """What a person wants of the results.

    Attributes
    ----------
    where : sequence of str
        Words such as ``alpha>=0.5``.
    subject, session, code : str
        Empty: any.
    limit : int
        Size of a page; 0: everything.
    after : str or None
        The result that the last page ended with.
    """

    where: Sequence[str] = ()
    subject: str = ""
    session: str = ""
    code: str = ""
    limit: int = 0
    after: str | None = None

    def is_all(self) -> bool:
        """Tell whether nothing is left out."""
        return not (self.where or self.subject or self.session or self.code or self.limit or self.after)


@dataclass(frozen=True)
class Page:
    """Results, and what is to be said beside them.

    Attributes
    ----------
    results : list of ResultSummary
        Newest first.
    next_after : str or None
        The result to go on after; None: these were the last.
    counts : dict
        Jobs of the analysis by state.
    notes : list of str
        What else an operator should know.
    """

    results: list[ResultSummary]
    next_after: str | None
    counts: dict[JobState, int]
    notes: list[str]


def list_results(platform: Platform, name: str, wanted: ListQuery) -> Page:
    """List results of an analysis, newest first.

    Parameters
    ----------
    platform : Platform
        Where to look.
    name : str
        The analysis.
    wanted : ListQuery
        Which, and how many.

    Raises
    ------
    ParametersError
        If a condition cannot be read.
    UnknownJobError
        If there is no analysis of this name, or no result to go on after.
    """
    entry, records = platform.entry(name), platform.connections.record_store
    counts = platform.connections.ledger.jobs.counts(name)
    breaker = breaker_note(platform, name)
    if wanted.is_all():
        return Page(results_of(records, name, code_version=entry.code_version), None, counts, _said(breaker))
    asked = conditions(
        entry.analysis, where=wanted.where, subject=wanted.subject, session=wanted.session, code=wanted.code
    )
    found = list(find_records(records, name, asked, limit=wanted.limit, after=wanted.after))
    is_full = bool(wanted.limit) and len(found) == wanted.limit
    return Page(
        results=results_among(found, code_version=entry.code_version),
        next_after=found[-1]["_id"] if is_full else None,
        counts=counts,
        notes=_said(breaker, left_out(records, name)),
    )


def _said(*notes: str | None) -> list[str]:
    """Return those notes that there are."""
    return [note for note in notes if note]
