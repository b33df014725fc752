"""The user of this process, and child processes that end with it."""

import ctypes
import getpass
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

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
