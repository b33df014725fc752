"""Request jobs manually: submit, validate, rerun."""

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
    """A submitted target, and the state of its job."""

    target: str
    job_key: str
    state: JobState


@dataclass(frozen=True)
class Verdict:
    """The outcome of `validate` for one file; without `problem`, the sensor would ingest it."""

    file: str
    problem: str | None
    job_key: str | None
    warnings: tuple[str, ...]


def submit(platform: Platform, name: str, targets: Sequence[str], *, by_hand: dict[str, Any]) -> list[Submitted]:
    """Store jobs as new, so that the sensor requests their runs.

    Parameters
    ----------
    platform : Platform
        Open platform whose ledger receives the jobs.
    name : str
        Name of the analysis.
    targets : sequence of str
        Job files, or NWB files given as paths or URLs.
    by_hand : dict
        Parameter values from the command line; they take precedence.

    Returns
    -------
    list of Submitted
        One per target. A failed job becomes new again, because an operator requests it.

    Raises
    ------
    PermanentError
        If any target is rejected; then none is stored.
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
    return [
        Submitted(target, job.job_key, states[job.job_key][0])
        for target, (job, _) in zip(targets, requests, strict=True)
    ]


def validate(platform: Platform, files: Sequence[str], *, analysis: str | None = None) -> list[Verdict]:
    """Check job files as the sensor does, without storing anything.

    Parameters
    ----------
    files : sequence of str
        Paths of job files.
    analysis : str, optional
        Analysis whose parameters they must fit. By default the analysis whose inbox folder contains the file;
        elsewhere only the format of the file is checked.
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
    """Requeue jobs, so that the sensor requests their runs.

    Parameters
    ----------
    name : str
        Name of the analysis.
    failed : str, optional
        All jobs with this kind of failure; `ANY_FAULT` for all failed jobs, except cancelled and invalidated ones.
    outdated : bool
        All jobs whose result is from an older code version.
    keys : sequence of str
        Keys of single jobs.
    force_reason : str, optional
        Also compute jobs that have a result; the reason is stored with the replaced result.

    Returns
    -------
    list of str
        Keys of the jobs that are new now. A running job is left to its run; if the run executes an older code version, the
        job becomes new when it ends.

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
    """Raise for keys without a job.

    Raises
    ------
    UnknownJobError
        If a key is unknown; the message lists all unknown ones.
    """
    known = platform.connections.ledger.jobs.summaries(name, keys)
    if unknown := [key for key in keys if key not in known]:
        msg = (
            f"No job of `{name}` is stored under {', '.join(unknown)}. `analysis results {name}` lists the keys of results; "
            "that of a failed job is on the page of its run."
        )
        raise UnknownJobError(msg, analysis=name, job_key=unknown[0] if len(unknown) == 1 else None)


def _kind_condition(kind: str) -> Any:
    """Return the filter for failures of a kind; raise for an unknown kind."""
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
    """Return the job of one target, and the source of the request."""
    source = target if "://" in target else Path(os.path.realpath(target)).as_uri()
    request = ingest(entry.analysis, read_target(target), name=f"{source} {who}", fixed=fixed, by_hand=by_hand)
    refuse_secrets("".join(part.model_dump_json() for part in request).encode(), "The job")
    return request


def _verdict(platform: Platform, file: str, name: str | None) -> Verdict:
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
