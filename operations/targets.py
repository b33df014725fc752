"""Targets on the command line: job files and NWB files. Imports no Dagster, which would slow down every command."""

import os
from pathlib import Path

from domain.errors import InputError, JobFileError
from domain.job.job_file import Job, read_job
from resources.inbox.names import MAX_BYTES, too_large
from resources.small_file import read_small_file


def read_target(target: str) -> Job:
    """Return the job of a job file, or of an NWB file given as path or URL.

    Raises
    ------
    JobFileError, InputError
        If the target is neither.
    """
    if "://" in target:
        return Job(s3_location=(target,))
    path = Path(target)
    if not os.path.exists(path):  # noqa: PTH110  Path.exists raises for a name that is too long
        msg = f"{target}: there is no such file. Give a job file (.json), or an NWB file as path or URL."
        raise InputError(msg, location=target)
    if path.is_file() and path.suffix.lower() == ".json":
        return read_job(read_file(path), name=target)
    return Job(s3_location=(path.resolve().as_uri(),))


def read_file(path: Path) -> bytes:
    """Read a job file or a parameter file.

    Raises
    ------
    JobFileError
        If it cannot be read, or exceeds the maximum size of a job file.
    """
    try:
        data = read_small_file(path, limit=MAX_BYTES)
        size = path.stat().st_size
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}."
        raise JobFileError(msg, location=str(path)) from error
    if (problem := too_large(max(size, len(data)))) is not None:
        msg = f"{path}: {problem}."
        raise JobFileError(msg, location=str(path))
    return data
