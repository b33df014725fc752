"""`analysis rekey`: add jobs under new keys after the Parameters model of an analysis has changed."""

from dataclasses import dataclass

from domain.analysis import Analysis
from domain.batching import in_batches
from domain.errors import JobChangedError, PermanentError
from domain.job.job_file import AnalysisCode, Job
from domain.job.state import JobState, LedgerEntry
from domain.job.stored import Source, StoredJob, ingest, verify
from operations.platform import Platform

_CHUNK = 500


@dataclass(frozen=True)
class Rekeyed:
    """A job whose key no longer fits: its new key, or why it has none."""

    old_key: str
    new_key: str | None
    problem: str | None


def rekey(platform: Platform, name: str) -> list[Rekeyed]:
    """Store every job whose key no longer fits as a new job of the current Parameters model.

    Given values keep their origins; defaults are those of the current model. The old jobs and their results stay as
    they are.

    Parameters
    ----------
    platform : Platform
        Open platform whose ledger receives the jobs.
    name : str
        Name of the analysis.

    Returns
    -------
    list of Rekeyed
        The jobs whose key no longer fits.
    """
    entry, ledger = platform.entry(name), platform.connections.ledger
    keys = [key for state in JobState for key in ledger.jobs.keys_in(name, state)]
    found: list[Rekeyed] = []
    for some in in_batches(keys, _CHUNK):
        requests: list[tuple[StoredJob, Source]] = []
        jobs = ledger.jobs.get_many(name, some).values()
        found += [_again(entry.analysis, job, requests) for job in jobs if not _fits(entry.analysis, job)]
        ledger.requests.store(requests, code_version=entry.code_version)
    return found


def _fits(analysis: Analysis, job: LedgerEntry) -> bool:
    try:
        verify(analysis, job.stored_job)
    except JobChangedError:
        return False
    return True


def _again(analysis: Analysis, job: LedgerEntry, requests: list[tuple[StoredJob, Source]]) -> Rekeyed:
    """Ingest a job again, with the sources of all its requests."""

    def given(origin: str) -> dict[str, object]:
        """Return the parameter values of one origin."""
        return {field: job.parameters[field] for field, where in job.origins.items() if where == origin}

    inputs = job.stored_job.inputs
    requested = Job(
        s3_location=inputs.spelled_locations,
        file_location=inputs.spelled_files,
        distributed_parameters=given("distributed_parameters"),
        analysis_code=AnalysisCode(parameters=given("analysis_code")),
    )
    fixed, by_hand = given("fixed_parameters"), given("by_hand")
    try:
        stored, _ = ingest(analysis, requested, name="rekey", fixed=fixed, by_hand=by_hand)
    except PermanentError as error:
        return Rekeyed(job.job_key, None, str(error))
    requests += [(stored, source) for source in job.sources]
    return Rekeyed(job.job_key, stored.job_key, None)
