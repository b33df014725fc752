"""Who runs this process, and how its children end with it."""

import ctypes
import getpass
import os
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def person() -> str:
    """Name who runs this process; in a container its user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def asker_for_end_with_parent(number: int) -> Callable[[], None] | None:
    """Return what a child calls so that the kernel sends it a signal when its parent ends, however it ends (Linux).

    Everything is looked up beforehand, because little is safe between fork and exec.

    Parameters
    ----------
    number : int
        The signal.

    Returns
    -------
    callable or None
        None where the kernel cannot do it.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask_the_kernel() -> None:
        """Ask for the signal."""
        prctl(_PR_SET_PDEATHSIG, number)

    return ask_the_kernel
