"""Builds the provenance of a result after its files are uploaded."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from domain.job.identity import result_id
from domain.job.state import LedgerEntry
from domain.job.stored import leading_source, record_ids_of
from domain.result.environment import EnvironmentFacts
from domain.result.provenance import CodeFacts, Provenance
from engine.discovery.analyses import AnalysisEntry
from engine.worker.task import Work


@dataclass(frozen=True)
class Execution:
    """One execution whose files are uploaded.

    Attributes
    ----------
    attempt, location, run_id : str
        Id of the execution, the S3 folder of its files, and its Dagster run.
    work : Work
        Outcome returned by the worker.
    manifest : dict
        Paths, sizes and digests of the files.
    listing_sha256 : str
        Digest of their listing in S3.
    code : CodeFacts
        State of the repository.
    reason : str
        Why it was computed again; may be empty.
    why : str
        Why it is a new result; may be empty.
    environment : EnvironmentFacts
        Environment of the run; its numeric facts are those of the worker.
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
    environment: EnvironmentFacts


def provenance_of_execution(entry: AnalysisEntry, job: LedgerEntry, execution: Execution) -> Provenance:
    """Return the provenance from the analysis, the job and the execution.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis, with its current code version.
    job : LedgerEntry
        The job, with the sources of its requests.
    execution : Execution
        The execution that made the files.
    """
    inputs, work = job.stored_job.inputs, execution.work
    files = [*execution.manifest["files"], *execution.manifest["logs"]]
    figure, request = entry.analysis.figure, _request_facts(job)
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
        metadata=work.metadata,
        parameters=job.parameters,
        origins=job.origins,
        outputs=work.outputs,
        not_finite=work.not_finite,
        started=work.started,
        ended=work.ended,
        resources=work.resources,
        environment=execution.environment.model_copy(update={"numeric": work.numeric}),
        subject_ids=_unique(session.subject_id for session in work.sessions),
        session_names=_unique(session.session_name for session in work.sessions) or request["asset_names"],
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
        **request,
    )


def other_code(code: CodeFacts) -> list[str]:
    """Return a warning if a job file requests other code than was executed; the request is only recorded."""
    requested = [value for value in (code.requested_url, code.requested_version) if value]
    if not requested or set(requested) <= {code.url, code.commit}:
        return []
    return [f"The job file requests the code {' at '.join(requested)}; what ran is {code.url} at {code.commit}."]


def _request_facts(job: LedgerEntry) -> dict[str, Any]:
    """Return query, group and dispatch of the first request with a query, and the names from all requests."""
    sources = job.sources
    first = leading_source(sources)
    return {
        "asset_names": _unique(itertools.chain.from_iterable(s.asset_names for s in sources)),
        "record_ids": record_ids_of(sources),
        "query": first.query if first else None,
        "group": first.group if first else (),
        "dispatch_id": first.dispatch_id if first else None,
    }


def _requested_code(job: LedgerEntry) -> dict[str, str | None]:
    """Return the code that a job file requests; it is only recorded."""
    for source in job.sources:
        if source.requested_code_url or source.requested_code_version:
            return {"requested_url": source.requested_code_url, "requested_version": source.requested_code_version}
    return {}


def _unique(values: Iterable[str | None]) -> tuple[str, ...]:
    """Return the values that are not empty, without duplicates, in order."""
    return tuple(dict.fromkeys(v for v in values if v))
