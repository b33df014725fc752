"""Redacts what user code printed, raised or returned, before it is stored.

All text from user code passes this module. User code can read the credentials for inputs in its process, and perhaps
more; code that prints the environment must not put them into logs, records and the UI.
"""

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from domain.failures import JobError
from domain.redaction import redacted, redacted_value
from engine.worker.task import Task, Work
from resources.environment import known_secrets

LOG_TAIL_BYTES = 32 * 1024
_BLOCK = 1 << 20
_LINE = 1 << 16
_REPLACED = b"The analysis replaced its log by something else than a file; nothing of it is kept.\n"


def cleaned(result: Work | JobError, task: Task) -> Work | JobError:
    """Redact the log, the error and the outputs of a job.

    Parameters
    ----------
    result : Work or JobError
        Outcome of the job, from its worker.
    task : Task
        Its folder has the log, and its inputs the credentials to redact.

    Returns
    -------
    Work or JobError
        The outcome without secrets; a failure gets the end of the log. Outputs with a secret become a failure,
        because a result must not be changed.
    """
    if isinstance(result, JobError):
        return cleaned_error(result, task)
    secrets = known_secrets()
    names = [name for name, value in result.outputs.items() if redacted_value(value, secrets=secrets) != value]
    if names:
        listed = ", ".join(f"`{name}`" for name in names)
        message = (
            f"The outputs {listed} hold a password, a token or another secret: nothing was published. Return none."
        )
        return cleaned_error(JobError(kind="output", message=message, permanent=True), task)
    _clean_log(task.log, secrets)
    return result


def cleaned_error(error: JobError, task: Task) -> JobError:
    """Redact an error and the job's log, and return the error with the end of the log."""
    secrets = known_secrets()
    _clean_log(task.log, secrets)
    message, trace = (redacted(text, secrets=secrets) for text in (error.message, error.traceback))
    return error.model_copy(update={"message": message, "traceback": trace, "log": log_tail(task.log)})


def log_tail(log: Path) -> str:
    """Return the end of a job's log."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace").replace("\0", "")


def _clean_log(log: Path, secrets: tuple[str, ...]) -> None:
    """Redact a log in place; anything that is not an ordinary file is moved away."""
    with suppress(FileNotFoundError):
        facts = log.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
            log.rename(log.with_name(f"{log.name}.replaced"))
            log.write_bytes(_REPLACED)
        elif any(_clean(block, secrets) != block for block in _blocks(log)):
            clean = log.with_name(f"{log.name}.clean")
            with clean.open("wb") as file:
                file.writelines(_clean(block, secrets) for block in _blocks(log))
            clean.replace(log)


def _blocks(log: Path) -> Iterator[bytes]:
    """Yield a file in chunks that end with a line, unless a line is very long, so that secrets are rarely split."""
    with log.open("rb") as file:
        while block := _block(file):
            yield block


def _block(file: BinaryIO) -> bytes:
    return file.read(_BLOCK) + file.readline(_LINE)


def _clean(block: bytes, secrets: tuple[str, ...]) -> bytes:
    """Redact the secrets in lines; bytes that are not text are not changed."""
    text = block.decode("utf-8", errors="surrogateescape")
    return redacted(text, secrets=secrets).encode("utf-8", errors="surrogateescape")
