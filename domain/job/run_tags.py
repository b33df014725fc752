"""By which tags the runs of an analysis are found: subject, session, analysis tag and dispatch of their jobs.

A run takes many jobs, and Dagster keeps one value for each tag. So each value has a tag of its own: the tag
``dagster/subject.700001`` has the value ``700001``. Dagster's list of runs shows every tag of every run, a hundred
sessions too, but for those that begin with ``dagster/``; its filter finds these like any other.
"""

import re
from collections.abc import Iterable, Mapping

from domain.data_asset.names import session_named_by
from domain.job.state import LedgerEntry
from domain.result.provenance import Provenance
from domain.result.rows import tag_of

SUBJECT, SESSION, ANALYSIS_TAG, DISPATCH = "subject", "session", "analysis_tag", "dispatch"
KINDS = (SUBJECT, SESSION, ANALYSIS_TAG, DISPATCH)
PREFIX = "dagster/"
MORE = f"{PREFIX}more"
"""Begins the tags that say how many values were left out: ``dagster/more.session``."""

PER_KIND = 100
"""So many values of a kind a run is tagged with at most: every reading of a run reads all its tags."""

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.\-]+")
_LONGEST_KEY, _LONGEST_VALUE = 63, 200

Found = set[tuple[str, str]]


def found_in_job(job: LedgerEntry) -> Found:
    """Return what is known of a job before it is run.

    Parameters
    ----------
    job : LedgerEntry
        The job.

    Returns
    -------
    set of tuple
        Pairs of kind and value. Subject and session are those that the names of its inputs tell, where they are built as
        ``<modality>_<subject>_<date>_<time>``.
    """
    inputs = job.stored_job.inputs
    found = {(DISPATCH, source.dispatch_id) for source in job.sources if source.dispatch_id}
    if tag := tag_of(job.parameters):
        found.add((ANALYSIS_TAG, tag))
    for url in (*inputs.spelled_locations, *inputs.spelled_files):
        if named := session_named_by(url):
            found |= {(SUBJECT, named.subject), (SESSION, named.session)}
    return found


def found_in_result(provenance: Provenance) -> Found:
    """Return what is known of a job after its inputs were read; as `found_in_job`."""
    found = {(SUBJECT, subject) for subject in provenance.subject_ids}
    return found | {(SESSION, session) for session in provenance.session_names}


def tags_of(found: Iterable[tuple[str, str]], *, known: Mapping[str, str]) -> dict[str, str]:
    """Return the tags to add to a run.

    Parameters
    ----------
    found : iterable of tuple
        Kinds and values of its jobs.
    known : mapping
        The tags that it has.

    Returns
    -------
    dict
        New tags only. Characters that no tag may have become ``_``, long values are cut, and of each kind there are at
        most `PER_KIND`: a tag such as ``dagster/more.session`` counts the others.
    """
    new: dict[str, str] = {}
    room = {kind: PER_KIND - sum(_kind_of(key) == kind for key in known) for kind in KINDS}
    left_out = dict.fromkeys(KINDS, 0)
    for kind, value in sorted(set(found)):
        key = PREFIX + f"{kind}.{_NOT_ALLOWED.sub('_', value)}"[:_LONGEST_KEY]
        if key in known or key in new or not value:
            continue
        if room[kind] > 0:
            new[key] = value[:_LONGEST_VALUE]
            room[kind] -= 1
        else:
            left_out[kind] += 1
    for kind, number in left_out.items():
        if number:
            before = known.get(f"{MORE}.{kind}", "0")
            new[f"{MORE}.{kind}"] = str(number + (int(before) if before.isdecimal() else 0))
    return new


def is_tagged(tags: Mapping[str, str]) -> bool:
    """Tell whether a run has any of these tags."""
    return any(_kind_of(key) in KINDS for key in tags)


def _kind_of(key: str) -> str:
    """Return the kind of a tag; something else for the tags of others."""
    return key.removeprefix(PREFIX).partition(".")[0] if key.startswith(PREFIX) else ""
