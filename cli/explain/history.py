"""The history of a job, and how it differs from earlier results: the long part of an explanation."""

from dataclasses import dataclass
from typing import Any

from domain.errors import PermanentError
from domain.job.state import JobState, LedgerEntry
from domain.job.stored import StoredJob
from domain.json_values import canonical_json
from domain.result.records import from_record, newer_format
from operations.breakers import breaker_note
from operations.platform import Platform
from operations.requests import inbox_parameters
from resources.records.earlier import nearest_earlier


@dataclass(frozen=True)
class History:
    """What is known about a job in addition to its state.

    Attributes
    ----------
    why : str
        Why there is a result; without a result, how the job differs from the nearest earlier one.
    nearest : dict or None
        The nearest earlier result with all differences; None if the job has a result, or is the first of its analysis.
    attempts : list of dict
        Its attempts, the oldest first.
    asked_by : list of str
        Files and users that requested it.
    notes : list of str
        Further messages for the operator.
    """

    why: str
    nearest: dict[str, Any] | None
    attempts: list[dict[str, Any]]
    asked_by: list[str]
    notes: list[str]


def history_of(
    platform: Platform, stored: StoredJob, known: LedgerEntry | None, record: dict[str, Any] | None, code_version: str
) -> History:
    """Collect the history of a job.

    Parameters
    ----------
    platform : Platform
        Ledger, records and inbox; only read.
    stored : StoredJob
        Inputs, parameters and their origins.
    known : LedgerEntry or None
        Entry in the ledger, if there is one.
    record : dict or None
        The record of the current code's result.
    code_version : str
        Current code version of the analysis.
    """
    why, nearest = origin_of(record), None
    if record is None:
        compared = nearest_earlier(platform.connections.record_store, stored, code_version)
        why = "It would be the first result of this analysis." if compared is None else f"New: {compared.message()}."
        nearest = compared.as_dict() if compared else None
    return History(
        why=why,
        nearest=nearest,
        attempts=[attempt.model_dump(mode="json") for attempt in known.attempts] if known else [],
        asked_by=[source.name for source in known.sources] if known else [],
        notes=[*_waiting(platform, known), *_fixed_otherwise(platform, stored)],
    )


def origin_of(record: dict[str, Any] | None) -> str:
    """Return how a result was computed."""
    if record is None:
        return ""
    if newer := newer_format(record):
        return newer
    found = from_record(record)
    forced = f" Forced: {found.reason}." if found.reason else ""
    when = f"{found.ended:%Y-%m-%d %H:%M:%S}"
    return f"Made by run {found.run_id or 'unknown'}, which ended it at {when}. {found.why or ''}{forced}".strip()


def _waiting(platform: Platform, known: LedgerEntry | None) -> list[str]:
    """Return how many jobs of the analysis precede a new one."""
    if known is None or known.state is not JobState.NEW:
        return []
    stopped = breaker_note(platform, known.analysis)
    before = platform.connections.ledger.jobs.waiting_before(known.analysis, known.job_key)
    return [*([stopped] if stopped else []), *([f"{before} older jobs of this analysis wait too."] if before else [])]


def _fixed_otherwise(platform: Platform, stored: StoredJob) -> list[str]:
    """Return the fixed parameters whose file has changed: a change only affects later job files."""
    fixed = [name for name, origin in stored.origins.items() if origin == "fixed_parameters"]
    try:
        now = inbox_parameters(platform, stored.analysis) if fixed else {}
    except PermanentError as error:
        return [f"The inbox's fixed parameters cannot be read now: {error}"]
    changed = [n for n in fixed if n not in now or canonical_json(now[n]) != canonical_json(stored.parameters[n])]
    return [
        f"`{name}` was fixed when the job was ingested; analysis_parameters.json has changed since, which affects later files only."
        for name in changed
    ]
