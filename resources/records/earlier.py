"""The earlier results with which a job is compared: a few, found by indexes, regardless of their total number."""

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
"""Fields that distinguish results; a complete record is much larger, and a run reads several of them per job."""


def nearest_earlier(records: RecordReader, job: StoredJob, code_version: str) -> Comparison | None:
    """Compare a job with the nearest result that its analysis has.

    Parameters
    ----------
    records : RecordReader
        Records of the results.
    job : StoredJob
        Job whose inputs and parameters are compared.
    code_version : str
        Code version that would compute it.

    Returns
    -------
    Comparison or None
        None for the first result of an analysis. Candidates are results of the same job; without any, some with the same
        first input; without any, the newest few. Superseded results are candidates only if they are of the same job.
    """
    identity = Identity(frozenset((*job.inputs.locations, *job.inputs.files)), job.parameters, code_version)
    for candidates in _candidates(records, job):
        if found := [earlier for record in candidates if (earlier := _earlier(record)) is not None]:
            return nearest(identity, found)
    return None


def _candidates(records: RecordReader, job: StoredJob) -> Iterator[list[Document]]:
    """Yield the candidates, the most similar first."""
    mine: Document = {f"{OWN}.analysis": job.analysis}
    same_job = {**mine, f"{OWN}.job_key": job.job_key}
    lost = records.superseded(job.analysis, job_key=job.job_key, limit=_ENOUGH, fields=_FIELDS)
    yield [*records.find(same_job, _FIELDS, limit=_ENOUGH).to_list(), *lost]
    inputs = job.inputs
    field, spelled = ("locations", inputs.spelled_locations) if inputs.locations else ("files", inputs.spelled_files)
    yield records.find({**mine, f"{OWN}.{field}": spelled[0]}, _FIELDS, limit=_ENOUGH).to_list()
    yield records.newest(job.analysis, limit=_NEWEST, fields=_FIELDS).to_list()


def _earlier(record: Document) -> Earlier | None:
    """Return the result of a record; None for a damaged one, because the comparison is informative only."""
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
