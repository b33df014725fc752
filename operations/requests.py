"""Asking for jobs, by hand: submit, validate, rerun."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from domain.analysis.parameter_files import read_fixed_parameters
from domain.errors import PermanentError, UnknownJobError
from domain.failures import FailureKind
from domain.job.job_file import read_job
from domain.job.state import JobState
from domain.job.stored import Source, StoredJob, ingest
from engine.discovery.analyses import AnalysisEntry
from operations.platform import Platform
from operations.targets import read_file, read_target
from resources.inbox.names import PARAMETERS_FILE
from resources.ledger.requests import failed_by
from resources.process import person
from sensors.job_files.intake import refuse_secrets

ANY_FAULT = "any"


@dataclass(frozen=True)
class Submitted:
    """One target that was submitted."""

    target: str
    job_key: str
    state: JobState


@dataclass(frozen=True)
class Verdict:
    """What `validate` found in one file; no problem means that it would be taken in."""

    file: str
    problem: str | None
    job_key: str | None
    warnings: tuple[str, ...]


def submit(platform: Platform, name: str, targets: Sequence[str], *, by_hand: dict[str, Any]) -> list[Submitted]:
    """Store jobs as new, so that the sensor asks for their runs.

    Parameters
    ----------
    platform : Platform
        Where to.
    name : str
        The analysis.
    targets : sequence of str
        Job files, or NWB files given as paths or URLs.
    by_hand : dict
        Parameter values given by hand.

    Returns
    -------
    list of Submitted
        One per target. A failed job becomes new again, because a person asks for it.

    Raises
    ------
    PermanentError
        If any target is refused; then none is stored.
    """
    entry = platform.entry(name)
    fixed = inbox_parameters(platform, name)
    who = f"submitted by {person()}"
    requests = [_request(entry, target, fixed=fixed, by_hand=by_hand, who=who) for target in targets]
    ledger = platform.connections.ledger
    ledger.requests.store(requests, code_version=entry.code_version)
    keys = [job.job_key for job, _ in requests]
    failed = [k for k, (state, _, _) in ledger.jobs.summaries(name, keys).items() if state is JobState.FAILED]
    ledger.requests.requeue(name, failed, who=who)
    states = ledger.jobs.summaries(name, keys)
    return [Submitted(target, key, states[key][0]) for target, key in zip(targets, keys, strict=True)]


def validate(platform: Platform, files: Sequence[str], *, analysis: str | None = None) -> list[Verdict]:
    """Judge job files as the sensor would, without storing anything.

    Parameters
    ----------
    files : sequence of str
        Paths of job files.
    analysis : str, optional
        Whose parameters they must fit. Without it: the analysis in whose inbox folder a file lies, else only the
        file itself is judged.
    """
    return [_verdict(platform, file, analysis or _analysis_of(platform, file)) for file in files]


def rerun(
    platform: Platform,
    name: str,
    *,
    failed: str | None = None,
    outdated: bool = False,
    keys: Sequence[str] = (),
    force_reason: str | None = None,
) -> list[str]:
    """Make jobs new, so that the sensor asks for their runs.

    Parameters
    ----------
    name : str
        The analysis.
    failed : str, optional
        All jobs that failed in this way; `ANY_FAULT`: in any, but for those that a person ended.
    outdated : bool
        All jobs whose result was made by other code than the current.
    keys : sequence of str
        Single jobs.
    force_reason : str, optional
        Compute even what has a result, and keep this reason with the result that is replaced.

    Returns
    -------
    list of str
        The jobs that are new now; a job that is running is left to its run. If the run executes other code than the current
        one, the job becomes new when it ends.

    Raises
    ------
    UnknownJobError
        If a key or a kind of failure is not known.
    """
    entry = platform.entry(name)
    ledger = platform.connections.ledger
    known_keys(platform, name, keys)
    chosen = list(keys)
    if failed is not None:
        chosen += ledger.jobs.keys_in(name, JobState.FAILED, match={"error.kind": _kind_condition(failed)})
    if outdated:
        chosen += ledger.jobs.keys_in(name, JobState.DONE, match={"code_version": {"$ne": entry.code_version}})
    states = ledger.jobs.summaries(name, chosen)
    chosen = list(dict.fromkeys(chosen))
    running = [key for key in chosen if states[key][0] is JobState.RUNNING]
    ledger.requests.request_code(name, running, code_version=entry.code_version)
    chosen = [key for key in chosen if states[key][0] is not JobState.RUNNING]
    forced = force_reason is not None
    changed = ledger.requests.requeue(name, chosen, who=person(), reason=force_reason, force=forced)
    if forced and changed < len(chosen):  # a run has claimed some of them since their states were read
        entries = ledger.jobs.get_many(name, chosen)
        chosen = [key for key in chosen if key in entries and entries[key].force is not None]
    return chosen


def known_keys(platform: Platform, name: str, keys: Sequence[str]) -> None:
    """Refuse keys under which no job is stored.

    Raises
    ------
    UnknownJobError
        Naming them.
    """
    known = platform.connections.ledger.jobs.summaries(name, keys)
    if unknown := [key for key in keys if key not in known]:
        msg = (
            f"No job of `{name}` is stored under {', '.join(unknown)}. `analysis results {name}` lists the keys of results; "
            "that of a failed job is on the page of its run."
        )
        raise UnknownJobError(msg, analysis=name, job_key=unknown[0] if len(unknown) == 1 else None)


def _kind_condition(kind: str) -> Any:
    """Return the condition for failures of a kind; refuses one that does not exist."""
    if kind == ANY_FAULT:
        return failed_by(())
    kinds = get_args(FailureKind)
    if kind not in kinds:
        msg = f"There is no kind of failure {kind!r}. The kinds are: {', '.join(kinds)}."
        raise UnknownJobError(msg)
    return kind


def inbox_parameters(platform: Platform, name: str) -> dict[str, Any]:
    """Return the fixed parameters of an analysis's inbox folder."""
    data = platform.connections.job_inbox.read_fixed_parameters(name)
    return {} if data is None else read_fixed_parameters(data, name=PARAMETERS_FILE).fixed


def _request(
    entry: AnalysisEntry, target: str, *, fixed: dict[str, Any], by_hand: dict[str, Any], who: str
) -> tuple[StoredJob, Source]:
    """Turn one target into a job."""
    source = target if "://" in target else Path(os.path.realpath(target)).as_uri()
    request = ingest(entry.analysis, read_target(target), name=f"{source} {who}", fixed=fixed, by_hand=by_hand)
    refuse_secrets("".join(part.model_dump_json() for part in request).encode(), "The job")
    return request


def _verdict(platform: Platform, file: str, name: str | None) -> Verdict:
    """Judge one file."""
    try:
        job = read_job(read_file(Path(file)), name=file)
        warnings = [f"unknown key `{key}` is ignored" for key in job.unknown_keys]
        if name is None:
            return Verdict(file, None, None, tuple(warnings))
        fixed = inbox_parameters(platform, name)
        stored, source = ingest(platform.entry(name).analysis, job, name=file, fixed=fixed)
    except PermanentError as error:
        return Verdict(file, str(error), None, ())
    warnings += [f"label `{label}` in {where} is ignored" for label, where in source.stripped.items()]
    return Verdict(file, None, stored.job_key, tuple(warnings))


def _analysis_of(platform: Platform, file: str) -> str | None:
    """Return the analysis in whose inbox folder a file lies."""
    inbox = Path(platform.settings.job_inbox)
    path = Path(os.path.realpath(file))  # Path.resolve raises for a link to itself
    if "://" in platform.settings.job_inbox or not path.is_relative_to(inbox):
        return None
    name = path.relative_to(inbox).parts[0]
    return name if name in platform.names else None
