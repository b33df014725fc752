"""The earlier results that a job may be compared with: a few, each found by an index, however many there are."""

from collections.abc import Iterator

from domain.comparison import Comparison, Earlier, Identity, nearest
from domain.records import from_record
from domain.stored_job import StoredJob
from resources.mongo import Document
from resources.record_store import OWN, RecordStore

_ENOUGH = 50
_NEWEST = 3


def nearest_earlier(records: RecordStore, job: StoredJob, code_version: str) -> Comparison | None:
    """Compare a job with the nearest result that its analysis has.

    Parameters
    ----------
    records : RecordStore
        Where results are.
    job : StoredJob
        The job.
    code_version : str
        Code that would compute it.

    Returns
    -------
    Comparison or None
        None for the first result of an analysis. Looked at are, until something is found: results of the same job,
        some that share its first input, the newest few. Results that were replaced or invalidated count
        only when they are of the same job.
    """
    identity = Identity(frozenset((*job.inputs.locations, *job.inputs.files)), job.parameters, code_version)
    for candidates in _candidates(records, job):
        if found := [earlier for record in candidates if (earlier := _earlier(record)) is not None]:
            return nearest(identity, found)
    return None


def _candidates(records: RecordStore, job: StoredJob) -> Iterator[list[Document]]:
    """Yield ever wider circles of earlier records."""
    mine: Document = {f"{OWN}.analysis": job.analysis}
    same_job = {**mine, f"{OWN}.job_key": job.job_key}
    yield [*records.some(same_job, _ENOUGH), *records.superseded(job.analysis, job_key=job.job_key, limit=_ENOUGH)]
    inputs = job.inputs
    field, spelled = ("locations", inputs.spelled_locations) if inputs.locations else ("files", inputs.spelled_files)
    yield records.some({**mine, f"{OWN}.{field}": spelled[0]}, _ENOUGH)
    yield records.newest(job.analysis, _NEWEST)


def _earlier(record: Document) -> Earlier | None:
    """Read a record; one that cannot be read is passed over, because it only serves to explain."""
    signed = record.get("superseded", {})
    try:
        found = from_record({k: v for k, v in record.items() if k != "superseded"} | {"_id": record["name"]})
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    how = signed.get("how", "replaced") if signed else ""
    return Earlier(Identity.of(found), found.result_id, found.run_id, found.ended, how)
