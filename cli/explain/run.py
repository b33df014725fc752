"""`analysis explain`: the state of a job and the reason for it."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cli.explain.history import History, history_of
from domain.analysis.parameter_files import read_fixed_parameters
from domain.errors import UnknownJobError
from domain.job.identity import result_id
from domain.job.state import JobState, LedgerEntry
from domain.job.stored import StoredJob, ingest
from domain.messages import counted
from engine.discovery.analyses import AnalysisEntry
from operations.outdated import why_outdated
from operations.platform import Platform
from operations.requests import inbox_parameters
from operations.targets import read_file, read_target

ShownState = Literal[
    "unknown", "new", "queued", "running", "done", "failed", "outdated", "invalidated", "cancelled", "archived"
]
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Explanation:
    """The explanation of one job.

    Attributes
    ----------
    analysis, job_key, code_version, result_id : str
        Identity of the job, and of its result by the current code.
    inputs, parameters, origins : dict
        Inputs and parameters, and the origin of each value.
    stripped : dict
        Labels in the job file that are ignored, such as ``dry_run``.
    state : str
        unknown, new, queued, running, done, failed, outdated, invalidated, cancelled or archived.
    reason : str
        Why the job is in this state, and what to do next.
    history : History
        Attempts, requests, and the differences from earlier results.
    """

    analysis: str
    job_key: str
    code_version: str
    result_id: str
    inputs: dict[str, Any]
    parameters: dict[str, Any]
    origins: dict[str, str]
    stripped: dict[str, str]
    state: ShownState
    reason: str
    history: History

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON values."""
        return asdict(self)


def explain(
    platform: Platform,
    name: str,
    target: str,
    *,
    fixed_file: Path | None = None,
    is_queued: Callable[[str, str], bool] = lambda _name, _key: False,
) -> Explanation:
    """Explain a job file, an NWB file or a job key.

    Parameters
    ----------
    platform : Platform
        Ledger, records and inbox; only read.
    name : str
        Name of the analysis.
    target : str
        A job key, a job file or an NWB file. The file need not be in an inbox.
    fixed_file : Path, optional
        Fixed parameters to use instead of the inbox's.
    is_queued : callable
        Called with analysis and job key; whether an unfinished run covers the job.

    Raises
    ------
    PermanentError
        If the file is rejected, or nothing is stored under the key.
    """
    entry = platform.entry(name)
    stored, stripped = _find(platform, entry, target, fixed_file)
    result = result_id(name, entry.code_version, stored.job_key)
    known = platform.connections.ledger.jobs.get(name, stored.job_key)
    record = platform.connections.record_store.get(result)
    queued = known is not None and known.state is JobState.NEW and is_queued(name, stored.job_key)
    state, reason = judge(known, entry.code_version, has_record=record is not None, queued=queued)
    if state == "outdated" and known is not None and known.code_version:
        why = why_outdated(platform, name, job_key=stored.job_key, code_version=known.code_version)
        reason = f"{reason} {why}".rstrip()
    return Explanation(
        analysis=name,
        job_key=stored.job_key,
        code_version=entry.code_version,
        result_id=result,
        inputs=stored.inputs.identity(),
        parameters=stored.parameters,
        origins=stored.origins,
        stripped=stripped,
        state=state,
        reason=reason,
        history=history_of(platform, stored, known, record, entry.code_version),
    )


def judge(job: LedgerEntry | None, code_version: str, *, has_record: bool, queued: bool) -> tuple[ShownState, str]:
    """Return the state of a job and the reason for it, from what is stored.

    Parameters
    ----------
    job : LedgerEntry or None
        Entry in the ledger, if there is one.
    code_version : str
        Current code version of the analysis.
    has_record : bool
        Whether the current code's result exists.
    queued : bool
        Whether an unfinished run covers the job.
    """
    if job is None and has_record:
        return "done", "A result for these inputs, parameters and code exists; no job in this ledger requested it."
    if job is None:
        return "unknown", "This job has not been requested: put its file into the inbox, or submit it."
    if job.state is JobState.RUNNING:
        return _judge_running(job)
    if job.state is JobState.NEW:
        return _judge_new(job, queued=queued)
    if job.state is JobState.FAILED:
        return _judge_failed(job)
    return _judge_done(job, code_version, has_record=has_record)


def _judge_archived(job: LedgerEntry, code_version: str) -> str:
    """Explain an archived job."""
    code = "the current code" if job.code_version == code_version else f"code {job.code_version} (now {code_version})"
    return (
        f"Its result, made by {code}, is there and is found by queries; its partition was retired. "
        f"`analysis archive {job.analysis} --restore --key {job.job_key}` brings it back."
    )


def _judge_running(job: LedgerEntry) -> tuple[ShownState, str]:
    """Explain a running job."""
    if job.lease is None:
        return "running", "Running without a lease; the next sensor tick releases it."
    lease = f"its lease holds until {job.lease.until:%Y-%m-%d %H:%M:%S} UTC and is extended while the run lives"
    return "running", f"Run {job.lease.run_id} works on it, attempt number {job.attempt_number}; {lease}."


def _judge_new(job: LedgerEntry, *, queued: bool) -> tuple[ShownState, str]:
    """Explain a new job."""
    why = f" It is computed again: {job.force.reason}." if job.force else ""
    if queued:
        return "queued", f"It waits in a run that has not ended.{why}"
    return "new", f"It waits for the sensor's next tick, a few seconds while `analysis dev` or the daemon runs.{why}"


def _judge_failed(job: LedgerEntry) -> tuple[ShownState, str]:
    """Explain a failed or invalidated job."""
    error = job.error
    message = error.message if error else "no reason was kept"
    if error is not None and error.kind == "invalidated":
        return "invalidated", f"Its result was declared wrong. {message}. It is computed again when it is rerun."
    if error is not None and error.kind == "cancelled":
        return "cancelled", f"{message}. It is computed when it is rerun."
    kind = "permanent: change something, then rerun it" if error and error.permanent else "transient: rerun it"
    if job.retry_at is not None:
        kind = f"transient: retried automatically after {job.retry_at:%Y-%m-%d %H:%M:%S} UTC"
    return "failed", f"It failed after {counted(job.attempt_number, 'attempt')} ({kind}): {message}"


def _judge_done(job: LedgerEntry, code_version: str, *, has_record: bool) -> tuple[ShownState, str]:
    """Explain a job with a result of the current code or of older code."""
    if job.state is JobState.ARCHIVED:
        return "archived", _judge_archived(job, code_version)
    if has_record:
        return "done", "The result for these inputs, parameters and code exists; another request computes nothing."
    if job.code_version != code_version:
        return "outdated", f"Its result was made by code {job.code_version}; the code is now {code_version}."
    return "outdated", "It is done in the ledger, but its record is missing; rerun it."


def _find(
    platform: Platform, entry: AnalysisEntry, target: str, fixed_file: Path | None
) -> tuple[StoredJob, dict[str, str]]:
    """Return the job of a target, and the labels that were removed from it."""
    name = entry.analysis.name
    if _KEY.fullmatch(target):
        known = platform.connections.ledger.jobs.get(name, target)
        if known is None:
            msg = (
                f"No job of `{name}` is stored under {target}. `analysis results {name}` lists the keys of results; that of a "
                "failed job is on the page of its run."
            )
            raise UnknownJobError(msg)
        stripped = {label: where for source in known.sources for label, where in source.stripped.items()}
        return known.stored_job, stripped
    if fixed_file is None:
        fixed = inbox_parameters(platform, name)
    else:
        fixed = read_fixed_parameters(read_file(fixed_file), name=str(fixed_file)).fixed
    stored, source = ingest(entry.analysis, read_target(target), name=target, fixed=fixed)
    return stored, source.stripped
