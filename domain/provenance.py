"""Where a result comes from: one frozen model, mapped to and from the record that is stored.

The record is an aind-data-schema ``Metadata`` document whose ``processing`` holds one analysis, and beside its fields
one object, ``analysis_assets``, with what the schema has no place for. Records are built from and read as plain
dictionaries: the schema's classes validate what is written, but old records must stay readable by later versions.
"""

from datetime import datetime
from typing import Any, Literal

from aind_data_schema.components.identifiers import Code, DataAsset
from aind_data_schema.core.processing import DataProcess, Processing, ProcessStage, ResourceUsage
from aind_data_schema_models.process_names import ProcessName
from aind_data_schema_models.units import MemoryUnit
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.inputs import InputFile

RECORD_FORMAT = "analysis-record/1"

# Importing aind_data_schema.core.metadata costs every run 1.8 s, for this one string; a test compares the two.
METADATA_SCHEMA_VERSION = "2.7.6"
METADATA_DESCRIBED_BY = (
    "https://raw.githubusercontent.com/AllenNeuralDynamics/aind-data-schema/main/src/aind_data_schema/core/metadata.py"
)
_EMPTY_SECTIONS = (
    "other_identifiers",
    "subject",
    "data_description",
    "procedures",
    "instrument",
    "acquisition",
    "quality_control",
    "model",
)
_GIGABYTE = 1e9


class _Frozen(BaseModel):
    """Base of the parts of a provenance."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CodeFacts(_Frozen):
    """Which code ran: recorded with every result, and no part of its identity."""

    url: str = Field(description="Repository, without credentials.")
    commit: str | None = Field(default=None, description="Commit of the working tree, 40 hex digits.")
    dirty: bool | None = Field(
        default=None, description="Whether the tree had uncommitted changes; None: no repository."
    )
    run_script: str = Field(description="The analysis file, relative to the repository.")
    language: str = Field(default="Python", description="Programming language.")
    language_version: str = Field(description="Version of the language.")
    lock_sha256: str | None = Field(default=None, description="Digest of the file that locks the dependencies.")
    requested_url: str | None = Field(default=None, description="Code that the job file asked for, if it named one.")
    requested_version: str | None = Field(default=None, description="Version that the job file asked for.")


class ResourceFacts(_Frozen):
    """What the job ran on and what it used."""

    os: str = Field(description="Operating system.")
    architecture: str = Field(description="Processor architecture.")
    cpu: str | None = Field(default=None, description="Processor model.")
    cpu_cores: int | None = Field(default=None, description="Logical cores of the machine.")
    memory_bytes: int | None = Field(default=None, description="Memory of the machine, in bytes.")
    cpu_s: float | None = Field(default=None, description="Processor time of the job, children included, in seconds.")
    peak_memory_bytes: int | None = Field(default=None, description="Largest resident memory of the job, in bytes.")


class GroupField(_Frozen):
    """One field that a grouped job was grouped by; a pair, because field names hold dots."""

    field: str = Field(description="Name of the metadata field.")
    value: Any = Field(description="Its value: a scalar, or the canonical JSON text of anything larger.")


class Provenance(_Frozen):
    """Everything that is known about one result."""

    analysis: str = Field(description="Name of the analysis.")
    job_key: str = Field(description="Digest of inputs and parameters; the partition key.")
    code_version: str = Field(description="Declared version and source digest.")
    result_id: str = Field(description="Digest of analysis, code version and job key; the record's id.")
    attempt: str = Field(description="Execution that made this result.")
    location: str = Field(description="Folder of the result's files.")

    code: CodeFacts = Field(description="Which code ran.")
    locations: tuple[str, ...] = Field(description="Data assets, as the job spelled them, in identity's order.")
    files: tuple[str, ...] = Field(default=(), description="Single files, likewise.")
    inputs: tuple[InputFile, ...] = Field(default=(), description="What was read, as it was then.")
    parameters: dict[str, Any] = Field(description="Validated parameters, defaults filled in.")
    origins: dict[str, str] = Field(default_factory=dict, description="Where each parameter's value came from.")
    outputs: dict[str, Any] = Field(description="The analysis's small outputs.")
    not_finite: tuple[str, ...] = Field(default=(), description="Outputs that were not finite and are stored as null.")

    started: AwareDatetime = Field(description="When user code started.")
    ended: AwareDatetime = Field(description="When user code ended.")
    resources: ResourceFacts = Field(description="What it ran on and used.")

    subject_ids: tuple[str, ...] = Field(default=(), description="Subjects of the inputs.")
    session_names: tuple[str, ...] = Field(default=(), description="Sessions of the inputs.")
    asset_names: tuple[str, ...] = Field(default=(), description="Data asset names given by the job files.")
    record_ids: tuple[str, ...] = Field(default=(), description="Metadata record ids given by the job files.")
    query: str | None = Field(default=None, description="Query that found the inputs, as JSON text.")
    group: tuple[GroupField, ...] = Field(default=(), description="Fields that a grouped job was grouped by.")
    dispatch_id: str | None = Field(default=None, description="Dispatch that wrote the job file.")

    owners: tuple[str, ...] = Field(description="Owners of the analysis.")
    run_id: str | None = Field(default=None, description="Dagster run that executed the job.")
    reason: str | None = Field(default=None, description="Why it was computed again, when it was forced.")
    figure: str | None = Field(default=None, description="Result file shown as a thumbnail.")
    manifest_sha256: str = Field(description="Digest of the result's files, logs left out; the data version.")
    listing_sha256: str = Field(description="Digest of the listing (path, size, ETag) after upload.")
    file_count: int = Field(description="Number of result files, the log included.")
    file_bytes: int = Field(description="Their total size, in bytes.")

    @property
    def duration_s(self) -> float:
        """Seconds between start and end of user code."""
        return (self.ended - self.started).total_seconds()


_IN_PROCESSING = {"parameters", "outputs", "started", "ended", "location", "result_id", "owners"}
"""Fields whose one place is the schema's part of the record."""


def to_record(provenance: Provenance, *, state: Literal["done"] = "done") -> dict[str, Any]:
    """Return the record to store: a ``Metadata`` document with an ``analysis_assets`` object beside its fields.

    Parameters
    ----------
    provenance : Provenance
        What is known about the result.
    state : str
        State written into the record.

    Returns
    -------
    dict
        JSON values only; ``_id`` and ``name`` are the result id.
    """
    own = provenance.model_dump(mode="json", exclude=_IN_PROCESSING)
    return {
        "_id": provenance.result_id,
        "object_type": "Metadata",
        "describedBy": METADATA_DESCRIBED_BY,
        "schema_version": METADATA_SCHEMA_VERSION,
        "name": provenance.result_id,
        "location": provenance.location,
        **dict.fromkeys(_EMPTY_SECTIONS),
        "processing": _processing(provenance).model_dump(mode="json"),
        "analysis_assets": {"format": RECORD_FORMAT, "state": state, **own},
    }


def from_record(record: dict[str, Any]) -> Provenance:
    """Read a stored record back.

    Parameters
    ----------
    record : dict
        A record made by `to_record`, of this or an earlier version of the schema.

    Returns
    -------
    Provenance
        Equal to the one that the record was made from.
    """
    process = record["processing"]["data_processes"][0]
    own = {k: v for k, v in record["analysis_assets"].items() if k not in {"format", "state"}}
    return Provenance(
        **own,
        result_id=record["_id"],
        location=record["location"],
        owners=tuple(process["experimenters"]),
        parameters=process["code"]["parameters"] or {},
        outputs=process["output_parameters"] or {},
        started=datetime.fromisoformat(process["start_date_time"]),
        ended=datetime.fromisoformat(process["end_date_time"]),
    )


def _processing(provenance: Provenance) -> Processing:
    """Describe one analysis with the schema's own classes, which validate it."""
    process = DataProcess(
        process_type=ProcessName.ANALYSIS,
        name=provenance.analysis,
        stage=ProcessStage.ANALYSIS,
        experimenters=list(provenance.owners),
        code=_code(provenance),
        start_date_time=provenance.started,
        end_date_time=provenance.ended,
        output_parameters=provenance.outputs,
        notes=_notes(provenance),
        resources=_resource_usage(provenance.resources),
    )
    return Processing(data_processes=[process], dependency_graph={provenance.analysis: []})


def _code(provenance: Provenance) -> Code:
    """Describe the code and what it read."""
    facts = provenance.code
    return Code(
        url=facts.url,
        name=provenance.analysis,
        version=provenance.code_version,
        commit_hash=facts.commit,
        run_script=facts.run_script,
        language=facts.language,
        language_version=facts.language_version,
        input_data=[DataAsset(url=url) for url in (*provenance.locations, *provenance.files)],
        parameters=provenance.parameters,
    )


def _resource_usage(facts: ResourceFacts) -> ResourceUsage:
    """Describe the machine in the schema's words."""
    return ResourceUsage(
        os=facts.os,
        architecture=facts.architecture,
        cpu=facts.cpu,
        cpu_cores=facts.cpu_cores,
        system_memory=None if facts.memory_bytes is None else round(facts.memory_bytes / _GIGABYTE, 3),
        system_memory_unit=None if facts.memory_bytes is None else MemoryUnit.GB,
    )


def _notes(provenance: Provenance) -> str | None:
    """Say in words what a reader of the schema's part alone would miss."""
    notes = []
    if provenance.code.dirty:
        notes.append("The working tree had uncommitted changes.")
    if provenance.not_finite:
        notes.append(f"Not finite, stored as null: {', '.join(provenance.not_finite)}.")
    if provenance.reason:
        notes.append(f"Computed again: {provenance.reason}.")
    return " ".join(notes) or None
