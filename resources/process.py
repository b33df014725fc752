"""What this process knows of itself: who runs it, what its children inherit, and how they end with it.

The platform is set up by `resources.settings` alone; here variables are only handed on to others.
"""

import ctypes
import getpass
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from domain.redaction import secrets_of

_PR_SET_PDEATHSIG = 1


def person() -> str:
    """Name who runs this process; in a container its user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def inherited(names: Iterable[str]) -> dict[str, str]:
    """Return those of the named variables that this process has: what a child is to inherit, and nothing else."""
    return {name: os.environ[name] for name in names if name in os.environ}


def known_secrets() -> tuple[str, ...]:
    """Return the secrets that this process was given in its environment, in every spelling that a text may have."""
    return secrets_of(os.environ.items())


def forget(names: Iterable[str]) -> None:
    """Remove variables that nothing in this process needs, so that code of others does not find them."""
    for name in names:
        os.environ.pop(name, None)


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set a variable for as long as the context lasts, for code that expects it; then it is what it was."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


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
