"""Puts together what is known about a result when its files are there."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from domain.job.identity import result_id
from domain.job.state import LedgerEntry
from domain.result.provenance import CodeFacts, Provenance
from engine.discovery.analyses import AnalysisEntry
from engine.worker.task import Work


@dataclass(frozen=True)
class Execution:
    """One execution whose files are uploaded.

    Attributes
    ----------
    attempt, location, run_id : str
        Which execution, where its files are, and the run that made it.
    work : Work
        What the worker brought back.
    manifest : dict
        The files.
    listing_sha256 : str
        Digest of their listing.
    code : CodeFacts
        The repository.
    reason : str
        Why it was computed again, or nothing.
    why : str
        Why it is a new result, or nothing.
    """

    attempt: str
    location: str
    run_id: str
    work: Work
    manifest: dict[str, Any]
    listing_sha256: str
    code: CodeFacts
    reason: str
    why: str


def provenance_of_execution(entry: AnalysisEntry, job: LedgerEntry, execution: Execution) -> Provenance:
    """Join what the analysis declares, what the job asks for and what the execution made.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis.
    job : LedgerEntry
        The job, with everybody who asked for it.
    execution : Execution
        What was done.
    """
    inputs, work = job.stored_job.inputs, execution.work
    files = [*execution.manifest["files"], *execution.manifest["logs"]]
    figure, asked_by = entry.analysis.figure, _asked_by(job)
    return Provenance(
        analysis=entry.analysis.name,
        job_key=job.job_key,
        code_version=entry.code_version,
        result_id=result_id(entry.analysis.name, entry.code_version, job.job_key),
        attempt=execution.attempt,
        location=execution.location,
        code=execution.code.model_copy(update=_requested_code(job)),
        locations=inputs.spelled_locations,
        files=inputs.spelled_files,
        inputs=work.inputs,
        parameters=job.parameters,
        origins=job.origins,
        outputs=work.outputs,
        not_finite=work.not_finite,
        started=work.started,
        ended=work.ended,
        resources=work.resources,
        subject_ids=_unique(session.subject_id for session in work.sessions),
        session_names=_unique(session.session_name for session in work.sessions) or asked_by["asset_names"],
        owners=entry.analysis.owners,
        run_id=execution.run_id,
        reason=execution.reason or None,
        why=execution.why or None,
        figure=figure if any(file["path"] == figure for file in files) else None,
        tables=work.tables,
        manifest_sha256=execution.manifest["sha256"],
        listing_sha256=execution.listing_sha256,
        file_count=len(files),
        file_bytes=sum(file["bytes"] for file in files),
        **asked_by,
    )


def other_code(code: CodeFacts) -> list[str]:
    """Warn when a job file asked for other code than ran: what it asks for is recorded, never obeyed."""
    asked = [value for value in (code.requested_url, code.requested_version) if value]
    if not asked or set(asked) <= {code.url, code.commit}:
        return []
    return [f"The job file requests the code {' at '.join(asked)}; what ran is {code.url} at {code.commit}."]


def _asked_by(job: LedgerEntry) -> dict[str, Any]:
    """Return query, group and dispatch of the first request that has a query, and the names that any gave."""
    sources = job.sources
    first = next((s for s in sources if s.query), next(iter(sources), None))
    return {
        "asset_names": _unique(itertools.chain.from_iterable(s.asset_names for s in sources)),
        "record_ids": _unique(itertools.chain.from_iterable(s.record_ids for s in sources)),
        "query": first.query if first else None,
        "group": first.group if first else (),
        "dispatch_id": first.dispatch_id if first else None,
    }


def _requested_code(job: LedgerEntry) -> dict[str, str | None]:
    """Return the code that a job file asked for: recorded, never obeyed."""
    for source in job.sources:
        if source.requested_code_url or source.requested_code_version:
            return {"requested_url": source.requested_code_url, "requested_version": source.requested_code_version}
    return {}


def _unique(values: Iterable[str | None]) -> tuple[str, ...]:
    """Return what is there, each once, in order."""
    return tuple(dict.fromkeys(v for v in values if v))
