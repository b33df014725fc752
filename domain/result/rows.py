"""Results as flat rows: the columns of all tables of results.

Columns are the facts below, then ``parameters.<name>`` and ``outputs.<name>``, as `domain.result.search_entries` names
them.
"""

from typing import Any, Final, Literal

from domain.data_asset.names import session_named_by
from domain.job.state import LedgerEntry
from domain.result.provenance import Provenance
from domain.result.search_entries import OUTPUTS, PARAMETERS

DONE: Final = "done"
OUTDATED: Final = "outdated"
FAILED: Final = "failed"
SUPERSEDED: Final = "superseded"

TIMES = ("started", "ended")
NUMBERS = ("duration_s", "peak_memory_bytes")
LISTS = ("inputs",)
FACTS = (
    "result_id",
    "job_key",
    "state",
    "subject",
    "session",
    "inputs",
    "tag",
    "group",
    "dispatch_id",
    "code_version",
    *TIMES,
    *NUMBERS,
    "run_id",
    "attempt",
    "location",
    "figure",
    "failure_kind",
    "failure",
)
"""First columns of every table of results; those in none of the groups above are texts."""

_TAG = "analysis_tag"


def state_by_code(code_version: str, *, current: str) -> Literal["done", "outdated"]:
    """Return the state of a stored result: `DONE`, or `OUTDATED` if another code version is the current one."""
    return DONE if code_version == current else OUTDATED


def result_row(provenance: Provenance, *, state: str) -> dict[str, Any]:
    """Return a result as a row.

    Parameters
    ----------
    provenance : Provenance
        Parsed record of the result.
    state : str
        `DONE`, `OUTDATED` if the code has changed since, or `SUPERSEDED` if it was replaced or invalidated.

    Returns
    -------
    dict
        All columns of `FACTS`, None if there is no value, then parameters and outputs as recorded.
        Several subjects or sessions are one text, joined by commas; ``figure`` is a path below ``location``.
    """
    facts: dict[str, Any] = dict.fromkeys(FACTS) | {
        "result_id": provenance.result_id,
        "job_key": provenance.job_key,
        "state": state,
        "subject": joined(provenance.subject_ids),
        "session": joined(provenance.session_names),
        "inputs": [*provenance.locations, *provenance.files],
        "tag": tag_of(provenance.parameters),
        "group": joined(f"{g.field}={g.value}" for g in provenance.group),
        "dispatch_id": provenance.dispatch_id,
        "code_version": provenance.code_version,
        "started": provenance.started,
        "ended": provenance.ended,
        "duration_s": provenance.duration_s,
        "peak_memory_bytes": provenance.resources.peak_memory_bytes,
        "run_id": provenance.run_id,
        "attempt": provenance.attempt,
        "location": provenance.location,
        "figure": provenance.figure,
    }
    return facts | _prefixed(PARAMETERS, provenance.parameters) | _prefixed(OUTPUTS, provenance.outputs)


def failure_row(job: LedgerEntry) -> dict[str, Any]:
    """Return a failed job as a row, which has no outputs and no facts of a result.

    Parameters
    ----------
    job : LedgerEntry
        A job in the state `failed`.

    Returns
    -------
    dict
        As `result_row`, without outputs; subject and session come from the names of the inputs.
    """
    last = job.attempts[-1] if job.attempts else None
    source = job.sources[-1] if job.sources else None
    inputs = [*job.stored_job.inputs.spelled_locations, *job.stored_job.inputs.spelled_files]
    named = [session for url in inputs if (session := session_named_by(url)) is not None]
    facts: dict[str, Any] = dict.fromkeys(FACTS) | {
        "job_key": job.job_key,
        "state": FAILED,
        "subject": joined(dict.fromkeys(one.subject for one in named)),
        "session": joined(dict.fromkeys(one.session for one in named)),
        "inputs": inputs,
        "tag": tag_of(job.parameters),
        "group": joined(f"{g.field}={g.value}" for g in source.group) if source else None,
        "dispatch_id": source.dispatch_id if source else None,
        "code_version": job.code_version,
        "started": last.started if last else None,
        "ended": last.ended if last else None,
        "run_id": last.run_id if last else None,
        "attempt": last.attempt if last else None,
        "failure_kind": job.error.kind if job.error else None,
        "failure": job.error.message if job.error else None,
    }
    return facts | _prefixed(PARAMETERS, job.parameters)


def tag_of(parameters: dict[str, Any]) -> str | None:
    """Return the parameter ``analysis_tag``, a label of the parameter set; None if there is none."""
    tag = parameters.get(_TAG)
    return tag if isinstance(tag, str) else None


def joined(texts: Any) -> str | None:
    """Return texts joined by commas; None if there are none."""
    return ", ".join(texts) or None


def _prefixed(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{kind}.{name}": value for name, value in values.items()}
