"""Reads small files that a user names: job files, parameter files, saved dispatches."""

import os
import stat
from pathlib import Path


def read_small_file(path: Path, *, limit: int) -> bytes:
    """Read an ordinary file up to a size limit.

    Parameters
    ----------
    path : Path
        Path of the file; links are followed, because the user who names it may read it.
    limit : int
        Maximum size in bytes.

    Returns
    -------
    bytes
        The content; one byte more than the limit if the file is larger.

    Raises
    ------
    OSError
        If it cannot be read, or is not an ordinary file: a pipe would block, and a device never ends.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is not an ordinary file")
        return file.read(limit + 1)
