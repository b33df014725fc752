"""The environment of this process: the only module that uses ``os.environ``.

Settings are read from it once (`resources.settings`). Apart from that, variables are passed to children or removed before
code of others runs.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from domain.redaction import secrets_of


def environment() -> Mapping[str, str]:
    """Return the variables of this process."""
    return os.environ


def child_environment(**variables: str) -> dict[str, str]:
    """Return the environment for a process that this one starts, with some variables set."""
    return {**os.environ, **variables}


def inherited(names: Iterable[str]) -> dict[str, str]:
    """Return those of the named variables that are set: a child that gets only these sees no other."""
    return {name: os.environ[name] for name in names if name in os.environ}


def known_secrets() -> tuple[str, ...]:
    """Return the secrets in the environment of this process, in every spelling that a text may have."""
    return secrets_of(os.environ.items())


def forget(names: Iterable[str]) -> None:
    """Remove variables that this process does not need, so that code of others does not find them."""
    for name in names:
        os.environ.pop(name, None)


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set a variable for as long as the context lasts, for code that expects it, and restore it afterwards."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
