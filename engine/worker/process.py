"""Runs one job inside its worker process: captures its output, and converts exceptions to errors.

A worker writes only below the job's private folder, never to the ledger, the records or the results. Its output goes
to the job's log. All failures of user code are returned as a `JobError`.
"""

import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType, TracebackType, UnionType
from typing import TextIO

from domain.errors import (
    CodeChangedError,
    InputChangedError,
    InputError,
    OutputError,
    PlatformError,
    ServerUnavailableError,
)
from domain.failures import FailureKind, JobError
from domain.retry import is_transient
from engine.worker.command import CommandFailedError
from engine.worker.task import Task, Work, run_task
from resources.environment import forget
from resources.process import parent_death_signal

TEXT_CHARACTERS = 16 * 1024
_NOT_FOR_USER_CODE = ("DOCDB_URI", "ASSETS_URI", "SMTP_URL", "ALERT_WEBHOOK_URL", "DAGSTER_POSTGRES_URL")
"""Variables with secrets that a worker does not need: it uses no database and sends no alerts."""

_ROOT = Path(__file__).parents[2]
_MACHINERY = {"cli", "domain", "engine"}
_KINDS: tuple[tuple[type[PlatformError] | UnionType, FailureKind], ...] = (
    (InputError | InputChangedError, "input"),
    (OutputError, "output"),
    (CodeChangedError, "code_changed"),
    (ServerUnavailableError, "server"),
)


def prepare_worker() -> None:
    """Give this process its own group, which ends with the parent process, grandchildren included."""
    forget(_NOT_FOR_USER_CODE)
    os.setpgrp()
    signal.signal(signal.SIGTERM, end_group)
    if (ask_for_end := parent_death_signal(signal.SIGTERM)) is not None:
        ask_for_end()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(file=2, all_threads=False)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)


def execute(task: Task) -> Work | JobError:
    """Run one job in this process.

    Parameters
    ----------
    task : Task
        The job; its folder exists and is empty.

    Returns
    -------
    Work or JobError
        Outputs of the job, or its error. Only a dying process does not return.
    """
    task.pid_file.write_text(str(os.getpid()), encoding="ascii")
    task.results.mkdir()
    with _captured(task):
        try:
            return run_task(task)
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            return job_error_of(error, task.transient)


def job_error_of(error: BaseException, transient_names: tuple[str, ...]) -> JobError:
    """Convert an exception of user code to a `JobError`, and print the traceback to the job's log."""
    if isinstance(error, CommandFailedError):
        sys.stderr.write(f"{error.traceback}{error}\n")
        return JobError(
            kind=error.kind,
            message=_storable(str(error)),
            permanent=not error.transient,
            traceback=_storable(error.traceback),
        )
    chain = not isinstance(error, PlatformError)  # the causes of the platform's errors are not shown
    text = "".join(traceback.format_exception(type(error), error, user_frames(error), chain=chain))
    sys.stderr.write(text)
    kind = next((kind for kinds, kind in _KINDS if isinstance(error, kinds)), "exception")
    transient = is_transient(error, transient_names if kind == "exception" else None)
    name = "" if isinstance(error, PlatformError) else f"{type(error).__name__}: "
    message, trace = _storable(f"{name}{error}"), _storable(text)
    return JobError(kind=kind, message=message, permanent=not transient, traceback=trace)


def _storable(text: str) -> str:
    """Shorten a text of user code and replace invalid Unicode, because the ledger cannot store them."""
    clean = text.encode("utf-8", errors="replace").decode()
    if len(clean) <= TEXT_CHARACTERS:
        return clean
    half = TEXT_CHARACTERS // 2
    return f"{clean[:half]}\n[... {len(clean) - 2 * half} characters left out ...]\n{clean[-half:]}"


def user_frames(error: BaseException) -> TracebackType | None:
    """Skip the first frames of the platform, so that the traceback starts in the analysis."""
    trace = error.__traceback__
    while trace is not None and _is_machinery(Path(trace.tb_frame.f_code.co_filename)):
        trace = trace.tb_next
    return trace


def _is_machinery(file: Path) -> bool:
    """Return whether a frame belongs to the platform and not to an analysis."""
    return file.is_relative_to(_ROOT) and file.relative_to(_ROOT).parts[0] in _MACHINERY


@contextlib.contextmanager
def _captured(task: Task) -> Iterator[None]:
    """Redirect the output of this process to the job's log."""
    saved = os.dup(1), os.dup(2)
    with task.log.open("ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        with _stream(1) as out, _stream(2) as err, redirect_stdout(out), redirect_stderr(err):
            yield
    finally:
        ctypes.CDLL(None).fflush(None)  # output of C code belongs to this job, not to the next one
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def _stream(number: int) -> TextIO:
    """Open a line-buffered stream for one job, which may close it; a crash loses no line."""
    return os.fdopen(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def end_group(_number: int, _frame: FrameType | None) -> None:
    """Kill this process and all of its children."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
