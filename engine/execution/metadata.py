"""Metadata of a job's inputs, for an analysis that declares it: read before its execution, and compared on reuse."""

from collections.abc import Sequence

from domain.analysis import Analysis
from domain.errors import PlatformError
from domain.job.metadata import JobMetadata
from domain.job.state import LedgerEntry
from domain.job.stored import Source, StoredJob, leading_source, record_ids_of
from domain.result.provenance import Provenance
from resources.data_assets.input_records import records_of_inputs
from resources.data_assets.records import AssetRecords


def read_metadata(
    analysis: Analysis, job: StoredJob, sources: Sequence[Source], assets: AssetRecords
) -> JobMetadata | None:
    """Return the metadata that an analysis declares; None if it declares none.

    Parameters
    ----------
    analysis : Analysis
        Its ``input_metadata`` is read.
    job : StoredJob
        Inputs of the job.
    sources : sequence of Source
        Requests for the job: their record ids, and the group.
    assets : AssetRecords
        Metadata database.

    Raises
    ------
    InputError
        If an input has no metadata record, or several.
    ServerUnavailableError
        If the metadata database does not answer.
    """
    declared, inputs = analysis.input_metadata, job.inputs
    if not declared:
        return None
    urls, leading = inputs.files or inputs.locations, leading_source(sources)
    records = None
    if "records" in declared:
        found = records_of_inputs(assets, urls, ids=record_ids_of(sources))
        records = tuple(record.document for record in found)
    fields = leading.group if leading else ()
    group = {one.field: one.value for one in fields} if "group" in declared else None
    return JobMetadata(urls, records, group)


def metadata_differences(
    analysis: Analysis, job: LedgerEntry, result: Provenance, assets: AssetRecords
) -> tuple[str, ...]:
    """Return how the metadata of a job differs from what its result was computed with, as sentences for the operator."""
    again = f"To compute the result again:  analysis rerun {job.analysis} --key {job.job_key} --force --reason …"
    try:
        now = read_metadata(analysis, job.stored_job, job.sources, assets)
    except PlatformError as error:  # the result is complete without it
        return (f"The result was used without comparing the metadata of its inputs: {error}",)
    changed = [one.subject for one in (now.digests() if now else ()) if one not in result.metadata]
    return tuple(f"Since the result was computed, {subject} has changed. {again}" for subject in changed)
