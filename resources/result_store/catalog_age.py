"""The age of a results table: the number of newer results, and a message about them."""

from datetime import UTC, datetime

from domain.messages import counted
from domain.result.search_entries import search_time
from resources.records.reader import OWN, TIME, RecordReader

MOST_COUNTED = 1000


def newer_results(records: RecordReader, analysis: str, since: datetime | None) -> int:
    """Return the number of results of an analysis that ended after a time, at most `MOST_COUNTED`; uses an index.

    Parameters
    ----------
    records : RecordReader
        Records of the results.
    analysis : str
        Name of the analysis.
    since : datetime or None
        Time with time zone; None to count all results.
    """
    match = {f"{OWN}.analysis": analysis, TIME: {"$gt": "" if since is None else search_time(since)}}
    return records.count(match, limit=MOST_COUNTED)


def age_of_table(analysis: str, updated: datetime | None, newer: int) -> str:
    """Return a message that a results table is older than the newest results; empty if it is not.

    Parameters
    ----------
    analysis : str
        Name of the analysis.
    updated : datetime or None
        Time of the table's last update; None if unknown.
    newer : int
        Number of newer results, from `newer_results`.
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
