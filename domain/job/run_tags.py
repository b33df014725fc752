"""The tags by which runs are found: subject, session, analysis tag and dispatch of their jobs.

A run has many jobs, and Dagster has one value for each tag. So each value has its own tag: the tag
``dagster/subject.700001`` has the value ``700001``. Dagster's list of runs shows all tags of a run, even a hundred
sessions, except those that start with ``dagster/``; its filter finds these like others.
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
"""Prefix of the tags with the number of values that are left out: ``dagster/more.session``."""

PER_KIND = 100
"""Maximum number of tags of a kind: reading a run reads all of its tags."""

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.\-]+")
_LONGEST_KEY, _LONGEST_VALUE = 63, 200

TagValues = set[tuple[str, str]]


def found_in_job(job: LedgerEntry) -> TagValues:
    """Return the tag values of a job that are known before its execution.

    Parameters
    ----------
    job : LedgerEntry
        Its input names, ``analysis_tag`` and dispatch id are used.

    Returns
    -------
    set of tuple
        Pairs of kind and value. Subject and session come from the names of its inputs, if they have the form
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


def found_in_result(provenance: Provenance) -> TagValues:
    """Return the tag values that are known after the inputs were read, as in `found_in_job`."""
    found = {(SUBJECT, subject) for subject in provenance.subject_ids}
    return found | {(SESSION, session) for session in provenance.session_names}


def tags_of(found: Iterable[tuple[str, str]], *, known: Mapping[str, str]) -> dict[str, str]:
    """Return the tags to add to a run.

    Parameters
    ----------
    found : iterable of tuple
        Pairs of kind and value from all jobs of the run.
    known : mapping
        Existing tags of the run.

    Returns
    -------
    dict
        New tags only. Characters that are invalid in tags become ``_``, long values are cut, and each kind has at
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
    """Return whether a run has any of these tags."""
    return any(_kind_of(key) in KINDS for key in tags)


def _kind_of(key: str) -> str:
    """Return the kind of a tag; for other tags, a text that is not a kind."""
    return key.removeprefix(PREFIX).partition(".")[0] if key.startswith(PREFIX) else ""
