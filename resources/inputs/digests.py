"""Digests of inputs as they were read, for provenance."""

from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path

LARGE_LOCAL_BYTES = 2 * 1024**3
"""Size up to which inputs on disk are hashed. Larger ones are often read in part; reading all of them may take minutes."""


def content_digest(place: Path) -> str:
    """Return the sha256 of a file; of a directory, the digest over path, sha256 and size of each of its files, by path.

    Parameters
    ----------
    place : Path
        Local file or directory; links are followed.

    Returns
    -------
    str
        64 hexadecimal digits; of a directory the sha256 of the lines ``path NUL sha256 NUL bytes LF`` in UTF-8.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    if not place.is_dir():
        return _of_file(place)
    return sha256(b"".join(_lines(place))).hexdigest()


def _lines(folder: Path) -> Iterator[bytes]:
    """Yield the line of each file below a folder, sorted by the bytes of its path."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    for name in sorted(files, key=lambda name: name.encode(errors="surrogateescape")):
        file = files[name]
        yield f"{name}\0{_of_file(file)}\0{file.stat().st_size}\n".encode(errors="surrogateescape")


def _of_file(file: Path) -> str:
    with file.open("rb") as content:
        return file_digest(content, "sha256").hexdigest()
