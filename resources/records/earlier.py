"""The earlier results that a job may be compared with: a few, each found by an index, however many there are."""

from collections.abc import Iterator
from datetime import datetime

from domain.job.stored import StoredJob
from domain.result.comparison import Comparison, Earlier, Identity, nearest
from resources.mongo_collection import Document
from resources.records.reader import OWN, RecordReader

_ENOUGH = 10
_NEWEST = 3
_FIELDS = (
    "name",
    "superseded.how",
    *(f"{OWN}.{name}" for name in ("locations", "files", "code_version", "run_id")),
    "processing.data_processes.code.parameters",
    "processing.data_processes.end_date_time",
)
"""What tells results apart: a whole record is many times larger, and a run reads some of them for each of its jobs."""


def nearest_earlier(records: RecordReader, job: StoredJob, code_version: str) -> Comparison | None:
    """Compare a job with the nearest result that its analysis has.

    Parameters
    ----------
    records : RecordReader
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


def _candidates(records: RecordReader, job: StoredJob) -> Iterator[list[Document]]:
    """Yield ever wider circles of earlier records."""
    mine: Document = {f"{OWN}.analysis": job.analysis}
    same_job = {**mine, f"{OWN}.job_key": job.job_key}
    lost = records.superseded(job.analysis, job_key=job.job_key, limit=_ENOUGH, fields=_FIELDS)
    yield [*records.find(same_job, _FIELDS, limit=_ENOUGH).to_list(), *lost]
    inputs = job.inputs
    field, spelled = ("locations", inputs.spelled_locations) if inputs.locations else ("files", inputs.spelled_files)
    yield records.find({**mine, f"{OWN}.{field}": spelled[0]}, _FIELDS, limit=_ENOUGH).to_list()
    yield records.newest(job.analysis, limit=_NEWEST, fields=_FIELDS).to_list()


def _earlier(record: Document) -> Earlier | None:
    """Read a record; one that cannot be read is passed over, because it only serves to explain."""
    try:
        own, process = record[OWN], record["processing"]["data_processes"][0]
        identity = Identity.of(
            urls=[str(url) for url in (*own["locations"], *own.get("files", ()))],
            parameters=dict(process["code"]["parameters"] or {}),
            code_version=str(own["code_version"]),
        )
        ended = datetime.fromisoformat(process["end_date_time"])
        signed = record.get("superseded")
        how = signed.get("how", "replaced") if signed else ""
        return Earlier(identity, str(record["name"]), own.get("run_id"), ended, how)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
