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
