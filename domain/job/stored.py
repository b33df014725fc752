"""A stored job: fixed inputs and parameters, the job key, and the sources of its requests.

`ingest` is the only way from a job file to a stored job: the sensor, ``submit``, ``validate`` and ``explain`` all use it.
`verify` is its counterpart at run time.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, Field

from domain.analysis import Analysis
from domain.analysis.parameters import dump, resolve, validate_stored
from domain.errors import JobChangedError, ParametersError
from domain.formats import StoredModel
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import Job
from domain.json_values import canonical_json
from domain.redaction import redacted_value
from domain.result.provenance import GroupField


class Source(StoredModel):
    """The source of one request for a job: a file or a person. Recorded, but not part of the job key."""

    name: str = Field(description="URL of the job file, or who submitted it.")
    query: str | None = Field(default=None, description="Query that found the inputs, as JSON text.")
    group: tuple[GroupField, ...] = Field(default=(), description="Fields that the job was grouped by.")
    asset_names: tuple[str, ...] = Field(default=(), description="Data asset names, parallel to the file's locations.")
    record_ids: tuple[str, ...] = Field(default=(), description="Metadata record ids, likewise.")
    dispatch_id: str | None = Field(default=None, description="Dispatch that wrote the file.")
    requested_code_url: str | None = Field(default=None, description="Code that the file requested.")
    requested_code_version: str | None = Field(default=None, description="Version that the file requested.")
    stripped: dict[str, str] = Field(default_factory=dict, description="Control labels left out, and where they stood.")
    unknown_keys: tuple[str, ...] = Field(default=(), description="Keys of the file that no generation knows.")


class StoredJob(StoredModel):
    """A job with everything that a run needs, stored under its key."""

    analysis: str = Field(description="Name of the analysis.")
    job_key: str = Field(description="Digest of inputs and parameters; the partition key.")
    inputs: JobInputs = Field(description="Inputs in identity's order, with their original spelling.")
    parameters: dict[str, Any] = Field(description="Validated parameters, defaults filled in.")
    origins: dict[str, str] = Field(description="Where each parameter's value came from.")


def ingest(
    analysis: Analysis, job: Job, *, name: str, fixed: dict[str, Any], by_hand: dict[str, Any] | None = None
) -> tuple[StoredJob, Source]:
    """Fix a job's inputs and parameters, and compute its key.

    Parameters
    ----------
    analysis : Analysis
        The analysis that the job is for.
    job : Job
        Content of the job file.
    name : str
        URL of the file, or the person who submitted the job.
    fixed : dict
        Fixed parameters of the inbox, by name.
    by_hand : dict, optional
        Parameter values from the command line; they take precedence.

    Returns
    -------
    tuple of StoredJob and Source
        The job, and the request for it.

    Raises
    ------
    InputError
        If the URL of an input is invalid or not allowed.
    ParametersError
        If the parameters do not fit the analysis.
    """
    inputs = JobInputs.of(job)
    resolved = resolve(analysis, job, fixed=fixed, by_hand=by_hand or {})
    stored = StoredJob(
        analysis=analysis.name,
        job_key=job_key(inputs, resolved.values),
        inputs=inputs,
        parameters=resolved.values,
        origins=resolved.origins,
    )
    code = job.analysis_code
    source = Source(
        name=name,
        query=redacted_value(job.query),
        group=_group(redacted_value(job.group_metadata)),
        asset_names=redacted_value(job.asset_name),
        record_ids=redacted_value(job.docdb_record_id),
        dispatch_id=redacted_value(job.dispatch_id),
        requested_code_url=redacted_value(code.url if code else None),
        requested_code_version=redacted_value(code.version if code else None),
        stripped=resolved.stripped,
        unknown_keys=redacted_value(job.unknown_keys),
    )
    return stored, source


def verify(analysis: Analysis, stored: StoredJob) -> BaseModel:
    """Return a stored job's parameters as the analysis's model, if they still give the same key.

    Raises
    ------
    JobChangedError
        If the model has changed since the job was ingested; the message names the fields.
    """
    try:
        parameters = validate_stored(analysis, stored.parameters)
    except ParametersError as error:
        msg = f"Job {stored.job_key} of `{analysis.name}` no longer fits its Parameters model: {error} {_REKEY}"
        raise JobChangedError(msg, analysis=analysis.name, job_key=stored.job_key) from error
    now = dump(parameters)
    if job_key(stored.inputs, now) != stored.job_key:
        fields = sorted(k for k in {*now, *stored.parameters} if _differ(k, now, stored.parameters))
        what = f"fields {', '.join(f'`{f}`' for f in fields)} have changed" if fields else "its inputs differ"
        msg = (
            f"Job {stored.job_key} of `{analysis.name}` no longer has the key that it is stored under: {what}. {_REKEY}"
        )
        raise JobChangedError(msg, analysis=analysis.name, job_key=stored.job_key)
    return parameters


_REKEY = "`analysis rekey` adds the job under its new key; so does submitting its file again."


def _differ(key: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether a key has different JSON in two objects; in Python, ``True`` equals ``1``."""
    return key not in one or key not in other or canonical_json(one[key]) != canonical_json(other[key])


def leading_source(sources: Sequence[Source]) -> Source | None:
    """Return the request whose query, group and dispatch are recorded: the first one with a query, otherwise the first."""
    return next((source for source in sources if source.query), next(iter(sources), None))


def record_ids_of(sources: Iterable[Source]) -> tuple[str, ...]:
    """Return the metadata record ids that requests name, each once and in order."""
    return tuple(dict.fromkeys(one for source in sources for one in source.record_ids if one))


def _group(metadata: dict[str, Any] | None) -> tuple[GroupField, ...]:
    """Return the group of a job file as pairs; values other than scalars are stored as canonical JSON text."""
    return tuple(
        GroupField(
            field=k, value=v if v is None or isinstance(v, str | int | float | bool) else canonical_json(v).decode()
        )
        for k, v in sorted((metadata or {}).items())
    )
