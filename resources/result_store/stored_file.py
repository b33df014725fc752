"""A file of a result, as the server has it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class StoredFile:
    """A file of a result as stored on the server.

    Attributes
    ----------
    path : str
        Relative to the result's location, with ``/``.
    bytes : int
        Size (bytes).
    etag : str
        ETag of the server without quotes; changes with the content.
    sha256 : str
        Digest of the uploaded content; not known from a listing, so excluded from comparisons.
    """

    path: str
    bytes: int
    etag: str
    sha256: str = field(default="", compare=False)
