"""Metadata of a job's inputs, for analyses that declare it in ``input_metadata``. It is not part of the job key.

Its digests are part of a result's provenance, like the state of an input.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from domain.formats import StoredModel
from domain.json_values import canonical_json, sha256_hex

MetadataKind = Literal["records", "group"]
"""What an analysis may declare: the metadata records of its inputs, and the fields that the job was grouped by."""


class MetadataDigest(StoredModel):
    """The digest of metadata that an analysis received."""

    input: str | None = Field(default=None, description="URL of the input; None: the fields of the job's group.")
    record_id: str | None = Field(default=None, description="`_id` of its record in the metadata database.")
    sha256: str = Field(description="Digest of the record, or of the group's fields, as canonical JSON.")

    @property
    def subject(self) -> str:
        """What it is a digest of, for messages."""
        return "the group" if self.input is None else f"the metadata record of {self.input}"


@dataclass(frozen=True)
class JobMetadata:
    """Metadata of one job; what the analysis does not declare is None.

    Attributes
    ----------
    inputs : tuple of str
        URLs of the inputs, in the order of `AnalysisJob.open_inputs`.
    records : tuple of dict or None
        Metadata record of each input, as JSON values.
    group : dict or None
        Fields that the job was grouped by; values larger than a scalar are canonical JSON text.
    """

    inputs: tuple[str, ...]
    records: tuple[dict[str, Any], ...] | None = None
    group: dict[str, Any] | None = None

    def digests(self) -> tuple[MetadataDigest, ...]:
        """Return the digests of all records, in the order of the inputs, and of the group."""
        found = []
        if self.records is not None:
            found += [
                MetadataDigest(input=url, record_id=str(record["_id"]), sha256=digest_of(record))
                for url, record in zip(self.inputs, self.records, strict=True)
            ]
        if self.group is not None:
            found.append(MetadataDigest(sha256=digest_of(self.group)))
        return tuple(found)


def digest_of(document: dict[str, Any]) -> str:
    """Return the digest of a JSON object as canonical JSON: 64 lower-case hexadecimal characters."""
    return sha256_hex(canonical_json(document))
