"""`analysis results`: all results of an analysis, or pages of those that match conditions."""

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
    """Conditions and page of a list of results.

    Attributes
    ----------
    where : sequence of str
        Conditions such as ``alpha>=0.5``.
    subject, session, code : str
        Required value; empty for any.
    limit : int
        Maximum number of results; 0 for all.
    after : str or None
        Result id at the end of the previous page; None for the first page.
    """

    where: Sequence[str] = ()
    subject: str = ""
    session: str = ""
    code: str = ""
    limit: int = 0
    after: str | None = None

    def is_all(self) -> bool:
        """Return whether all results are listed, without conditions and limit."""
        return not (self.where or self.subject or self.session or self.code or self.limit or self.after)


@dataclass(frozen=True)
class Page:
    """A page of results, with counts and notes.

    Attributes
    ----------
    results : list of ResultSummary
        Results, the newest first.
    next_after : str or None
        Value of `after` for the next page; None after the last page.
    counts : dict
        Number of jobs of the analysis by state.
    notes : list of str
        Further messages for the operator.
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
        Records and ledger; only read.
    name : str
        Name of the analysis.
    wanted : ListQuery
        Conditions, size and start of the page.

    Raises
    ------
    ParametersError
        If a condition is invalid.
    UnknownJobError
        If there is no analysis of this name, or `after` is not a result.
    """
    entry, records = platform.entry(name), platform.connections.record_store
    counts = platform.connections.ledger.jobs.counts(name)
    breaker = breaker_note(platform, name)
    if wanted.is_all():
        return Page(results_of(records, name, code_version=entry.code_version), None, counts, _said(breaker))
    chosen = conditions(
        entry.analysis, where=wanted.where, subject=wanted.subject, session=wanted.session, code=wanted.code
    )
    found = list(find_records(records, name, chosen, limit=wanted.limit, after=wanted.after))
    is_full = bool(wanted.limit) and len(found) == wanted.limit
    return Page(
        results=results_among(found, code_version=entry.code_version),
        next_after=found[-1]["_id"] if is_full else None,
        counts=counts,
        notes=_said(breaker, left_out(records, name)),
    )


def _said(*notes: str | None) -> list[str]:
    return [note for note in notes if note]
