"""The recorded state of an input, which is part of a result's provenance and not of its identity."""

from datetime import datetime

from pydantic import Field

from domain.formats import StoredModel


class InputFile(StoredModel):
    """The state of an input when an analysis read it."""

    url: str = Field(description="Where it was read from.")
    etag: str | None = Field(
        default=None, description="The server's tag; of a directory, a digest over its files' tags."
    )
    bytes: int | None = Field(default=None, ge=0, description="Size; of a directory, the sum.")
    files: int = Field(default=1, ge=0, description="Number of files: 1, or those in a directory.")
    modified: datetime | None = Field(
        default=None, description="Last change, with time zone; of a directory, the newest."
    )
    sha256: str | None = Field(
        default=None,
        description="Digest of what was read; of a directory, over its files. None: not read completely, which is weaker proof.",
    )
    version_id: str | None = Field(default=None, description="Version of an object in a versioned bucket.")

    def same_state(self, other: "InputFile") -> bool:
        """Return whether two descriptions are of one state: by ETag and size if both have an ETag, else by size and time."""
        if self.etag is not None and other.etag is not None:
            return (self.etag, self.bytes) == (other.etag, other.bytes)
        return (self.bytes, self.files, self.modified) == (other.bytes, other.files, other.modified)
