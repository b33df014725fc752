"""Finds results that match a query, with little memory: there may be hundreds of thousands."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from domain.errors import UnknownJobError
from domain.messages import shown
from domain.result.provenance import GroupField
from domain.result.rows import DONE, OUTDATED, SUPERSEDED, state_by_code
from resources.mongo_collection import Document
from resources.records.reader import OWN, TIME
from resources.records.search import match_of
from resources.records.store import RecordStore
from results.queries import ResultQuery, check_name, has_group, has_parts
from results.summaries import ResultState

WITHOUT_SEARCH: Mapping[str, int] = {f"{OWN}.search": 0}
"""Fields of the record that are not read."""

_PROCESS = "processing.data_processes"
FOR_ROWS: Mapping[str, int] = {
    **WITHOUT_SEARCH,
    **{f"{OWN}.{name}": 0 for name in ("inputs", "origins", "query", "asset_names", "record_ids")},
    **{f"{_PROCESS}.{name}": 0 for name in ("resources", "code.input_data", "object_type", "notes", "stage")},
    **dict.fromkeys(("describedBy", "object_type", "processing.dependency_graph", "processing.object_type"), 0),
}
"""Fields that are not read for rows of a table, because no column shows them."""

_FIELDS = ("name", *(f"{OWN}.{name}" for name in ("analysis", "job_key", "code_version", "attempt", "search_time")))
_KEY = re.compile(r"[0-9a-f]{6,64}(/[0-9a-f-]{32,36})?")
_MANY = 5


class ResultRef(NamedTuple):
    """A reference to a stored result; sorted by the end of results."""

    ended: str
    result_id: str
    attempt: str
    analysis: str
    job_key: str
    code_version: str
    state: ResultState

    def judged_by(self, current: str | None) -> "ResultRef":
        """Return the reference with the state of its result for a current code version."""
        if self.state == SUPERSEDED:
            return self
        return self._replace(
            state=state_by_code(self.code_version, current=self.code_version if current is None else current)
        )


def refs_of(records: RecordStore, query: ResultQuery, *, current: str | None) -> list[ResultRef]:
    """Return references to the results that match a query, newest first.

    Parameters
    ----------
    records : RecordStore
        Store of the records; only read.
    query : ResultQuery
        Conditions; failed jobs are not found here.
    current : str, optional
        The analysis's current code; without it, no result is outdated.
    """
    found: list[ResultRef] = []
    if query.states & {DONE, OUTDATED}:
        found += _read(records, query, current, superseded=False)
    if SUPERSEDED in query.states:
        found += _read(records, query, current, superseded=True)
    found = sorted((ref for ref in found if ref.state in query.states), reverse=True)
    return list(newest_of_each_job(found)) if query.newest else found


def newest_of_each_job(refs: Iterable[ResultRef]) -> Iterator[ResultRef]:
    """Yield of each job, that is of the same inputs and parameters, the first place."""
    seen = set()
    for ref in refs:
        if (job := (ref.analysis, ref.job_key)) not in seen:
            seen.add(job)
            yield ref


def records_at(
    records: RecordStore, refs: Iterable[ResultRef], fields: Mapping[str, int] = WITHOUT_SEARCH
) -> Iterator[tuple[ResultRef, Document]]:
    """Yield records with their references, in one or two queries and in the order of the references.

    A result that was superseded in the meantime is read from the superseded records; a missing one is left out.
    """
    wanted = list(refs)
    standing = [ref.result_id for ref in wanted if ref.state != SUPERSEDED]
    found = {_key(d): d for d in records.find({"_id": {"$in": standing}}, fields)} if standing else {}
    if moved := [key for ref in wanted if (key := f"{ref.result_id}/{ref.attempt}") not in found]:
        found |= {_key(d): d for d in records.find({"_id": {"$in": moved}}, fields, superseded=True)}
    for ref in wanted:
        if (record := found.get(f"{ref.result_id}/{ref.attempt}")) is not None:
            yield ref, {**record, "_id": ref.result_id}


def find_ref(records: RecordStore, key: str, *, analysis: str | None) -> ResultRef:
    """Return a reference to a result by its id or job key.

    Parameters
    ----------
    records : RecordStore
        Store of the records; only read.
    key : str
        A result id or a job key, or the first six digits or more of one; ``<result id>/<attempt>`` is a superseded
        result. Of a job, the newest result is meant.
    analysis : str, optional
        Only results of this analysis.

    Raises
    ------
    UnknownJobError
        If there is no such result, or several are meant.
    """
    if analysis is not None:
        check_name(analysis)
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        msg = f"{shown(repr(key))} is not a result id: expected a result id or a job key, or six or more of its first digits."
        raise UnknownJobError(msg)
    mine = {} if analysis is None else {f"{OWN}.analysis": analysis}
    for field in ("_id", f"{OWN}.job_key"):
        match = {field: {"$gte": key, "$lt": f"{key}g"}, **mine}
        found = list(_refs(records.find(match, _FIELDS, superseded="/" in key), superseded="/" in key))
        jobs = list(newest_of_each_job(sorted(found, reverse=True)))
        several = found if field == "_id" else jobs
        if len(several) > 1:
            raise _ambiguous(key, several)
        if jobs:
            return jobs[0]
    of = "" if analysis is None else f" of `{shown(analysis)}`"
    msg = f"No result{of} has an id or job key that begins with {key}. `Results.find` lists what there is."
    raise UnknownJobError(msg)


def _ambiguous(key: str, refs: list[ResultRef]) -> UnknownJobError:
    """Return the error for an ambiguous id."""
    some = ", ".join(f"{ref.result_id} ({ref.analysis})" for ref in refs[:_MANY])
    more = f" and {len(refs) - _MANY} more" if len(refs) > _MANY else ""
    return UnknownJobError(f"{key} may mean several results: {some}{more}. Give more digits, or analysis=.")


def _read(records: RecordStore, query: ResultQuery, current: str | None, *, superseded: bool) -> Iterator[ResultRef]:
    """Yield the references in one collection."""
    match = match_of(records, query.analysis, query.indexed)
    match[TIME] |= {} if query.since is None else {"$gte": query.since}
    match[TIME] |= {} if query.until is None else {"$lt": query.until}
    parts, group = query.unindexed, query.group
    more = [*([f"{_PROCESS}.code.parameters"] if parts else ()), *([f"{OWN}.group"] if group else ())]
    documents = records.find(match, [*_FIELDS, *more], superseded=superseded)
    fitting = (d for d in documents if _has_parts(d, parts) and _has_group(d, group))
    yield from (ref.judged_by(current) for ref in _refs(fitting, superseded=superseded))


def _refs(documents: Iterable[Document], *, superseded: bool) -> Iterator[ResultRef]:
    """Yield references to records; damaged ones are left out."""
    state: ResultState = SUPERSEDED if superseded else DONE
    for document in documents:
        try:
            own, ended = document[OWN], document[OWN].get("search_time") or ""
            identity = (own["attempt"], own["analysis"], own["job_key"], own["code_version"])
            yield ResultRef(ended, document["name"], *identity, state)
        except (LookupError, TypeError):
            continue


def _has_parts(document: Document, wanted: Mapping[str, Any]) -> bool:
    """Return whether a record's parameters match."""
    if not wanted:
        return True
    try:
        return has_parts(document["processing"]["data_processes"][0]["code"]["parameters"], wanted)
    except (LookupError, TypeError):
        return False


def _has_group(document: Document, wanted: Mapping[str, Any]) -> bool:
    """Return whether a record's group matches."""
    if not wanted:
        return True
    try:
        return has_group([GroupField.model_validate(pair) for pair in document[OWN]["group"]], wanted)
    except (LookupError, TypeError, ValueError):
        return False


def _key(document: Document) -> str:
    """Return result id and attempt of a record."""
    own = document.get(OWN)
    return f"{document.get('name')}/{own.get('attempt') if isinstance(own, dict) else None}"
