"""The user of this process, and child processes that end with it."""

import ctypes
import getpass
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import psutil

from resources.environment import child_environment

_PR_SET_PDEATHSIG = 1
_START_TICK = 19  # `starttime` of proc(5), counted from the field after the command's name


def person() -> str:
    """Return the name of the user of this process; in a container the user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def host_name() -> str:
    """Return the name of this host."""
    return socket.gethostname()


def output_of(
    words: Sequence[str],
    *,
    variables: Mapping[str, str] = MappingProxyType({}),
    with_errors: bool = False,
    timeout_s: float = 20,
) -> str | None:
    """Run a short command and return its output; None if it cannot be started, fails, or takes too long.

    Parameters
    ----------
    words : sequence of str
        Program and arguments, none of which comes from a job; no shell.
    variables : mapping of str to str
        Variables that are set in addition to those of this process.
    with_errors : bool
        Also return what it writes to the error stream.
    timeout_s : float
        Longest duration (s).
    """
    try:
        answer = subprocess.run(  # noqa: S603  no shell, and no argument comes from a job
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if with_errors else subprocess.DEVNULL,
            env=child_environment(**variables),
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.decode(errors="replace") if answer.returncode == 0 else None


def answer_of(words: Sequence[str], *, with_errors: bool = False, timeout_s: float = 20) -> str | None:
    """Return the output of a short command without the white space around it; arguments as for `output_of`."""
    output = output_of(words, with_errors=with_errors, timeout_s=timeout_s)
    return None if output is None else output.strip()


def process_token(pid: int) -> str | None:
    """Return a text that distinguishes a process from earlier and later ones with the same id; None if it has ended.

    It consists of the kernel's boot id and the tick at which the process started, so clock changes do not affect it.

    Parameters
    ----------
    pid : int
        Id of the process.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if sys.platform != "linux":
            return str(process.create_time())
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (psutil.Error, OSError):
        return None
    return f"{boot}/{fields[_START_TICK]}"


def parent_death_signal(number: int) -> Callable[[], None] | None:
    """Return a function for child processes: the kernel then sends a signal when the parent ends (Linux).

    Everything is resolved beforehand, because little is safe between fork and exec.

    Parameters
    ----------
    number : int
        Number of the signal.

    Returns
    -------
    callable or None
        None if the kernel does not support it.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def request_signal() -> None:
        """Request the signal from the kernel."""
        prctl(_PR_SET_PDEATHSIG, number)

    return request_signal
