"""Starts Dagster's processes for this project, and ends them with the command that started them."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from domain.errors import ServerUnavailableError
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.environment import child_environment
from resources.process import parent_death_signal
from resources.settings import PROJECT_ROOT, Settings

EVENTS_AT_ONCE = 500
"""Number of events that Dagster stores together; by default it stores each event separately."""

_ASK_FOR_END = parent_death_signal(signal.SIGINT)


@contextmanager
def dagster_process(
    settings: Settings,
    words: Sequence[str],
    *,
    log: Path | None = None,
    workspace: Path | None = None,
    stop_s: float = 20,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Dagster command for as long as the context lasts.

    Parameters
    ----------
    settings : Settings
        Its `dagster_home` is used.
    words : sequence of str
        Arguments of the Python interpreter.
    log : Path, optional
        File for its output; otherwise it goes to the terminal.
    workspace : Path, optional
        Workspace file; by default the project's.
    stop_s : float
        Time from SIGINT until the process is killed (s).

    Yields
    ------
    subprocess.Popen
        The process; it and all of its children end with the context.
    """
    home = prepare_dagster_home(settings)
    output = log.open("ab") if log is not None else None
    process = subprocess.Popen(  # noqa: S603  our own interpreter and fixed words
        [sys.executable, *words, "-w", str(workspace or PROJECT_ROOT / "workspace.yaml")],
        cwd=PROJECT_ROOT,
        env=child_environment(DAGSTER_HOME=str(home), DAGSTER_EVENT_BATCH_SIZE=str(EVENTS_AT_ONCE)),
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509  two system calls, before any thread exists in the child
    )
    try:
        yield process
    finally:
        _stop(process, stop_s)
        if output is not None:
            output.close()


def free_port(wanted: int) -> int:
    """Return a port of the loopback interface if it is free, otherwise another one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    msg = "No port of 127.0.0.1 is free."
    raise ServerUnavailableError(msg)


@contextmanager
def interruptible() -> Iterator[None]:
    """Convert SIGTERM, and SIGINT even if the caller ignores it, to KeyboardInterrupt, so that contexts are left."""
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in wanted]
    try:
        yield
    finally:
        for number, handler in zip(wanted, before, strict=True):
            signal.signal(number, handler)


def _stop(process: subprocess.Popen[bytes], stop_s: float) -> None:
    """Terminate a process, then kill the remaining processes of its session."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(stop_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_with_parent() -> None:  # pragma: no cover  runs in the child, before its program
    """Let the kernel end this process when its parent dies."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell may have started this process with SIGINT ignored
    if _ASK_FOR_END is not None:
        _ASK_FOR_END()
