"""The user of this process, and child processes that end with it."""

import ctypes
import getpass
import os
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def person() -> str:
    """Return the name of the user of this process; in a container the user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


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

    def ask_the_kernel() -> None:
        """Request the signal."""
        prctl(_PR_SET_PDEATHSIG, number)

    return ask_the_kernel
