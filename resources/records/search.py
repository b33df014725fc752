"""Finds records by their content, in pages, newest first.

Queries use the entries of `domain.result.search_entries`, so two indexes serve all of them: one starts with the name and
value of an entry, the other is sorted by time. The database tries both and continues with the better one. Of several
conditions only the most selective one uses the index, because MongoDB would choose any of them. A page starts where the
last one ended, so that a late page costs no more than the first.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from pymongo import DESCENDING

from domain.errors import UnknownJobError
from domain.messages import shown
from domain.result.filter import Condition
from resources.mongo_collection import Document
from resources.records.reader import OWN, SEARCH, TIME, RecordReader, unsearchable

_OPERATORS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
ORDER = [(TIME, DESCENDING), ("_id", DESCENDING)]
_COUNTED = 1000
"""Limit for counting: conditions with at least this number of records are equally selective."""


def find_records(
    records: RecordReader,
    analysis: str,
    wanted: Sequence[Condition],
    *,
    limit: int = 0,
    after: str | None = None,
    at_once: int = 500,
) -> Iterator[Document]:
    """Yield the records of an analysis that meet all conditions, newest first.

    Parameters
    ----------
    records : RecordReader
        Records of the results.
    analysis : str
        Name of the analysis.
    wanted : sequence of Condition
        All of which must hold.
    limit : int
        Maximum number of results (0 = all).
    after : str, optional
        Id of the last result of the previous page.
    at_once : int
        Number of records per query.

    Yields
    ------
    dict
        Complete records. Those that earlier versions of the platform wrote are left out until `analysis audit --repair`.

    Raises
    ------
    UnknownJobError
        If there is no result ``after``.
    """
    last = None if after is None else _place_of(records, analysis, after)
    entries, left = rarest_first(records, analysis, entries_of(wanted)), limit or math.inf
    while left:
        most = int(min(left, at_once))
        page = records.find(query_of(analysis, entries, last=last), sort=ORDER, limit=most).to_list()
        yield from page
        if len(page) < most:
            return
        left -= most
        last = (page[-1][OWN]["search_time"], page[-1]["_id"])


def match_of(records: RecordReader, analysis: str, wanted: Sequence[Condition]) -> Document:
    """Return the filter that finds the records of an analysis that meet all conditions, without a sort order.

    Parameters
    ----------
    records : RecordReader
        Records of the results, to find the most selective condition.
    analysis : str
        Name of the analysis.
    wanted : sequence of Condition
        All of which must hold.
    """
    return query_of(analysis, rarest_first(records, analysis, entries_of(wanted)))


def left_out(records: RecordReader, analysis: str) -> str | None:
    """Return a message if some records of an analysis cannot be searched; None otherwise."""
    left = records.count(unsearchable(analysis), limit=_COUNTED)
    if not left:
        return None
    many = f"{left} or more" if left == _COUNTED else str(left)
    return f"Not searched: {many} results of an earlier version of the platform. `analysis audit {analysis} --repair` includes them."


def query_of(analysis: str, entries: Sequence[Document], *, last: tuple[str, str] | None = None) -> Document:
    """Return the filter for records that have all entries.

    Parameters
    ----------
    analysis : str
        Name of the analysis.
    entries : sequence of dict
        Conditions on entries; the first uses the index, a double negation hides the others from it.
    last : tuple of str and str, optional
        Time and id of the last result of the previous page.
    """
    query: Document = {f"{OWN}.analysis": analysis, TIME: {"$gt": ""} if last is None else {"$gt": "", "$lte": last[0]}}
    if entries:
        query[SEARCH] = {"$elemMatch": entries[0]}
    if others := [{SEARCH: {"$not": {"$elemMatch": entry}}} for entry in entries[1:]]:
        query["$nor"] = others
    if last is not None:
        time, result = last
        query["$or"] = [{TIME: {"$lt": time}}, {"_id": {"$lt": result}}]
    return query


def entries_of(wanted: Sequence[Condition]) -> list[Document]:
    """Return the conditions on entries; both ends of a range are one condition, so that the index is read between them."""
    found: dict[Any, Document] = {}
    for number, one in enumerate(wanted):
        operator = _OPERATORS[one.comparison]
        same = found.get(one.name)
        single = operator in {"$eq", "$ne"} or (same is not None and operator in same["v"])
        found.setdefault(number if single else one.name, {"k": one.name, "v": {}})["v"][operator] = one.value
    return list(found.values())


def rarest_first(records: RecordReader, analysis: str, entries: list[Document]) -> list[Document]:
    """Sort entries by the number of records that have them, counted up to a limit; of equal ones `=` first.

    Parameters
    ----------
    records : RecordReader
        Records that are counted.
    analysis : str
        Name of the analysis.
    entries : list of dict
        Conditions from `entries_of`.
    """
    if len(entries) < 2:  # noqa: PLR2004  nothing to compare
        return entries
    counts = [records.count(query_of(analysis, [entry]), limit=_COUNTED) for entry in entries]
    order = sorted(range(len(entries)), key=lambda n: (counts[n], "$eq" not in entries[n]["v"]))
    return [entries[n] for n in order]


def _place_of(records: RecordReader, analysis: str, result_id: str) -> tuple[str, str]:
    """Return the position of a result in the order, also of one that was superseded since the previous page."""
    record = records.get(result_id) or records.get_superseded(result_id)
    own = record[OWN] if record is not None else {}
    if own.get("analysis") != analysis or not isinstance(own.get("search_time"), str):
        msg = f"`--after {shown(result_id)}`: `{analysis}` has no such result. Give the last result id of the page before."
        raise UnknownJobError(msg)
    return own["search_time"], result_id
