"""Cancel jobs, and invalidate results."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from domain.errors import UnknownJobError
from domain.job.identity import result_id
from domain.job.state import JobState, LedgerEntry
from domain.result.provenance import Provenance
from domain.result.records import from_record, from_superseded
from engine.assets.materialization import asset_key_of
from operations.platform import Platform, open_dagster
from operations.requests import known_keys
from resources.process import person
from resources.settings import Settings


@dataclass(frozen=True)
class Superseded:
    """A result that was replaced or invalidated.

    Attributes
    ----------
    job_key, result_id, attempt, code_version : str
        Identify the result and the execution that made it.
    ended : datetime
        When its computation ended.
    how : str
        ``replaced`` or ``invalidated``.
    who, reason : str
        Person or run that superseded it, and the reason.
    when : datetime
        When it was superseded.
    location : str
        S3 folder of its files; `analysis clean` removes them.
    """

    job_key: str
    result_id: str
    attempt: str
    code_version: str
    ended: datetime
    how: str
    who: str
    reason: str
    when: datetime
    location: str

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return asdict(self) | {"ended": self.ended.isoformat(), "when": self.when.isoformat()}


@dataclass(frozen=True)
class Invalidation:
    """Results that an operator declared wrong.

    Attributes
    ----------
    results : tuple of str
        Ids of the invalidated results.
    changed : tuple of str
        Keys of the jobs that changed meanwhile: a run claimed them, or an operator requested them again. Each may have another
        result now, which the operator has not seen, and was left as it is.
    """

    results: tuple[str, ...]
    changed: tuple[str, ...]


def cancel(
    platform: Platform,
    name: str,
    *,
    keys: Sequence[str] = (),
    dispatch_id: str | None = None,
    everything: bool = False,
    reason: str,
) -> int:
    """Cancel jobs that are new or running.

    Parameters
    ----------
    name : str
        Name of the analysis.
    keys : sequence of str
        Keys of single jobs.
    dispatch_id : str, optional
        Every job that this dispatch requested.
    everything : bool
        Every new or running job of the analysis.
    reason : str
        Stored with the jobs and shown as their error.

    Returns
    -------
    int
        Number of cancelled jobs; those that have ended stay as they are.

    Raises
    ------
    UnknownJobError
        If a key is not known.
    """
    entry, ledger = platform.entry(name), platform.connections.ledger
    known_keys(platform, name, keys)
    match = {} if dispatch_id is None else {"sources.dispatch_id": dispatch_id}
    chosen = list(keys)
    if everything or dispatch_id is not None:
        chosen += [
            key for state in (JobState.NEW, JobState.RUNNING) for key in ledger.jobs.keys_in(name, state, match=match)
        ]
    return ledger.requests.cancel(name, chosen, who=person(), reason=reason, code_version=entry.code_version)


def invalidate(platform: Platform, name: str, keys: Sequence[str], *, reason: str) -> Invalidation:
    """Invalidate results: queries exclude them, and their jobs are computed again only after an operator requests it.

    Parameters
    ----------
    name : str
        Name of the analysis.
    keys : sequence of str
        Keys of jobs that have a result.
    reason : str
        Stored with the job and the record.

    Returns
    -------
    Invalidation
        The results that are invalid now, and the jobs that changed meanwhile.

    Raises
    ------
    UnknownJobError
        If a job has no result or is running when the command begins. Nothing is changed.
    """
    who = person()
    results, changed = [], []
    for entry, record in [_result_of(platform, name, key) for key in dict.fromkeys(keys)]:
        if _invalidate_one(platform, entry, record, who=who, reason=reason):
            results.append(record["_id"])
        else:  # the others are as wrong as before
            changed.append(entry.job_key)
    return Invalidation(tuple(results), tuple(changed))


def superseded(platform: Platform, name: str) -> list[Superseded]:
    """Return the results of an analysis that were replaced or invalidated, latest first."""
    platform.entry(name)
    return [_superseded(record) for record in platform.connections.record_store.superseded(name)]


def _invalidate_one(platform: Platform, entry: LedgerEntry, record: dict[str, Any], *, who: str, reason: str) -> bool:
    """Invalidate one result; return False, without any change, if its job has changed since it was read."""
    provenance = from_record(record)
    requests, records = platform.connections.ledger.requests, platform.connections.record_store
    # the job first: after an interruption the result still exists, and repeating the command finishes the work
    job = requests.invalidate(entry, who=who, reason=reason, code_version=provenance.code_version)
    if job is None:
        return False
    records.invalidate(record, who=who, reason=reason, attempts=[one.attempt for one in job.attempts])
    _report_to_dagster(platform.settings, provenance, who=who, reason=reason)
    return True


def _result_of(platform: Platform, name: str, job_key: str) -> tuple[LedgerEntry, dict[str, Any]]:
    """Return a job, and then the record of its latest result, of any code version."""
    known_keys(platform, name, [job_key])
    job = platform.connections.ledger.jobs.get(name, job_key)
    current = result_id(name, platform.entry(name).code_version, job_key)
    if job is None:
        msg = f"The ledger's document of job {job_key} of `{name}` is damaged: fix that document in MongoDB first."
        raise UnknownJobError(msg, analysis=name, job_key=job_key)
    if job.state is JobState.RUNNING:
        raise UnknownJobError(_is_running(name, job_key), analysis=name, job_key=job_key)
    for candidate in (current, job.result_id):
        record = platform.connections.record_store.get(candidate) if candidate else None
        if record is not None:
            return job, record
    msg = f"Job {job_key} of `{name}` has no result to invalidate: it is {job.state.value}. See `analysis explain {name} KEY`."
    raise UnknownJobError(msg, analysis=name, job_key=job_key)


def _is_running(name: str, job_key: str) -> str:
    return f"Job {job_key} of `{name}` is running: wait for its end, or cancel it, and invalidate it then."


def _report_to_dagster(settings: Settings, found: Provenance, *, who: str, reason: str) -> None:
    """Report on the partition that its result is invalid: Dagster cannot remove a single materialization."""
    metadata = {"invalidated": reason, "by": who, "result": found.result_id, "attempt": found.attempt}
    observation = dg.AssetObservation(
        asset_key=asset_key_of(found.analysis),
        partition=found.job_key,
        description=f"Invalidated by {who}: {reason}",
        metadata=metadata,
    )
    with open_dagster(settings) as instance:
        if instance is not None:
            instance.report_runless_asset_event(observation)


def _superseded(record: dict[str, Any]) -> Superseded:
    signed = record["superseded"]
    found = from_superseded(record)
    return Superseded(
        job_key=found.job_key,
        result_id=found.result_id,
        attempt=found.attempt,
        code_version=found.code_version,
        ended=found.ended,
        how=signed.get("how", "replaced"),
        who=signed["who"],
        reason=signed["reason"],
        when=signed["when"],
        location=found.location,
    )
