"""Access to the environment of this process: the only module that uses ``os.environ``.

Settings are read from it once (`resources.settings`). Apart from that, variables are passed to child processes, or
removed before user code runs.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from domain.redaction import secrets_of


def environment() -> Mapping[str, str]:
    """Return the variables of this process."""
    return os.environ


def child_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a child process, with some variables set."""
    return {**os.environ, **variables}


def inherited(names: Iterable[str]) -> dict[str, str]:
    """Return the named variables that are set, for a child process that gets only these."""
    return {name: os.environ[name] for name in names if name in os.environ}


def known_secrets() -> tuple[str, ...]:
    """Return the secrets in the environment of this process, in all spellings."""
    return secrets_of(os.environ.items())


def forget(names: Iterable[str]) -> None:
    """Remove variables that this process does not need, so that user code does not find them."""
    for name in names:
        os.environ.pop(name, None)


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set a variable within a context, and restore it afterwards."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
