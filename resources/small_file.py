"""Files that a person names and that are read whole: job files, parameter files, saved dispatches."""

import os
import stat
from pathlib import Path


def read_small_file(path: Path, *, limit: int) -> bytes:
    """Read an ordinary file, but not much more than is allowed.

    Parameters
    ----------
    path : Path
        The file; a link to one is followed, because the person who names it may read it.
    limit : int
        So many bytes are allowed.

    Returns
    -------
    bytes
        The content; one byte more than is allowed, if the file is larger.

    Raises
    ------
    OSError
        If it cannot be read, or is no ordinary file: a pipe would wait, and a device never ends.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is not an ordinary file")
        return file.read(limit + 1)
