"""How old a results table is: the results that are newer than it, and the sentence that says so."""

from datetime import UTC, datetime

from domain.messages import counted
from domain.result.search_entries import search_time
from resources.records.reader import OWN, TIME, RecordReader

MOST_COUNTED = 1000


def newer_results(records: RecordReader, analysis: str, since: datetime | None) -> int:
    """Return how many results of an analysis ended after a time, at most `MOST_COUNTED`; counted by an index.

    Parameters
    ----------
    records : RecordReader
        Where results are.
    analysis : str
        Name of the analysis.
    since : datetime or None
        The time, with its zone; None: any.
    """
    match = {f"{OWN}.analysis": analysis, TIME: {"$gt": "" if since is None else search_time(since)}}
    return records.count(match, limit=MOST_COUNTED)


def age_of_table(analysis: str, updated: datetime | None, newer: int) -> str:
    """Say that a results table is older than the newest results; empty when it is not.

    Parameters
    ----------
    analysis : str
        Name of the analysis.
    updated : datetime or None
        When the table was updated; None: unknown.
    newer : int
        As `newer_results` returns it.
    """
    if not newer:
        return ""
    when = "of an unknown time" if updated is None else f"from {updated.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    many = f"{counted(newer, 'newer result')}{' or more' if newer == MOST_COUNTED else ''}"
    verb = "exists" if newer == 1 else "exist"
    return (
        f"The results table of `{analysis}` is {when}; {many} {verb}. It is updated after runs; to update it now, open Catalog "
        f"in Dagster, then {analysis} / catalog, and choose Materialize."
    )
