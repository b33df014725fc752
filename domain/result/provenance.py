"""The provenance of a result: one frozen model. `domain.result.records` converts it to and from the stored record."""

from typing import Any

from pydantic import AwareDatetime, Field

from domain.formats import StoredModel
from domain.job.inputs import InputFile
from domain.job.metadata import MetadataDigest
from domain.result.environment import EnvironmentFacts


class CodeFacts(StoredModel):
    """The code that ran: recorded with every result, not part of its identity."""

    url: str = Field(description="Repository, without credentials.")
    commit: str | None = Field(default=None, description="Commit of the working tree, 40 hex digits.")
    dirty: bool | None = Field(
        default=None, description="Whether the tree had uncommitted changes; None: no repository."
    )
    run_script: str = Field(description="The analysis file, relative to the repository.")
    language: str = Field(default="Python", description="Programming language.")
    language_version: str = Field(description="Version of the language.")
    lock_sha256: str | None = Field(default=None, description="Digest of the file that locks the dependencies.")
    requested_url: str | None = Field(default=None, description="Code that the job file requested, if it named one.")
    requested_version: str | None = Field(default=None, description="Version that the job file requested.")


class ResourceFacts(StoredModel):
    """The machine of a job, and the resources that it used."""

    os: str = Field(description="Operating system.")
    architecture: str = Field(description="Processor architecture.")
    cpu: str | None = Field(default=None, description="Processor model.")
    cpu_cores: int | None = Field(default=None, description="Processors that the run was allowed to use.")
    memory_bytes: int | None = Field(default=None, description="Memory of the machine, in bytes.")
    cpu_s: float | None = Field(default=None, description="Processor time of the job, children included, in seconds.")
    peak_memory_bytes: int | None = Field(default=None, description="Largest resident memory of the job, in bytes.")


class GroupField(StoredModel):
    """A field that a grouped job was grouped by; a pair, because field names contain dots."""

    field: str = Field(description="Name of the metadata field.")
    value: Any = Field(description="Its value: a scalar, or the canonical JSON text of anything larger.")


class TableRows(StoredModel):
    """Number of rows of a result table; a pair, because file names contain dots."""

    file: str = Field(description="Path of the table below the results.")
    rows: int = Field(description="Its rows, the header left out.")


class Provenance(StoredModel):
    """The provenance of one result."""

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
    metadata: tuple[MetadataDigest, ...] = Field(
        default=(), description="Metadata that the analysis declares and received, by digest."
    )
    parameters: dict[str, Any] = Field(description="Validated parameters, defaults filled in.")
    origins: dict[str, str] = Field(default_factory=dict, description="Where each parameter's value came from.")
    outputs: dict[str, Any] = Field(description="The analysis's small outputs.")
    not_finite: tuple[str, ...] = Field(default=(), description="Outputs that were not finite and are stored as null.")

    started: AwareDatetime = Field(description="When user code started.")
    ended: AwareDatetime = Field(description="When user code ended.")
    resources: ResourceFacts = Field(description="What it ran on and used.")
    environment: EnvironmentFacts | None = Field(
        default=None, description="Packages, image and processor features; None in results of version 0.1."
    )

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
    why: str | None = Field(
        default=None, description="Why it is a new result: what differs from the nearest earlier one."
    )
    figure: str | None = Field(default=None, description="Result file shown as a thumbnail.")
    tables: tuple[TableRows, ...] = Field(default=(), description="Rows of the declared tables, the first one first.")
    manifest_sha256: str = Field(description="Digest of the result's files, logs left out; the data version.")
    listing_sha256: str = Field(description="Digest of the listing (path, size, ETag) after upload.")
    file_count: int = Field(description="Number of result files, the log included.")
    file_bytes: int = Field(description="Their total size, in bytes.")

    @property
    def duration_s(self) -> float:
        """Duration of user code in seconds."""
        return (self.ended - self.started).total_seconds()
