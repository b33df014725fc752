"""The names of inputs in messages: the URL that the job names, and not the path of a private copy or link."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from domain.errors import InputError

# Of the process and not of a context: an analysis may open its inputs in threads, which do not inherit a context.
_NAMES: dict[str, str] = {}


@contextmanager
def named_inputs(names: Mapping[Path, str]) -> Iterator[None]:
    """Give local paths the names of inputs until the ``with`` block ends.

    Parameters
    ----------
    names : mapping of Path to str
        For each local path, what messages call it; without user, password and query.
    """
    added = {os.path.abspath(path): name for path, name in names.items()}  # noqa: PTH100  a link is not followed
    _NAMES.update(added)
    try:
        yield
    finally:
        for path in added:
            _NAMES.pop(path, None)


def name_of(path: Path | str) -> str:
    """Return what messages call a file.

    Parameters
    ----------
    path : Path or str
        Local path, as it was opened.

    Returns
    -------
    str
        The name that `named_inputs` has set, otherwise the path itself.
    """
    return _NAMES.get(os.path.abspath(path), str(path))  # noqa: PTH100


def input_error(name: str, reason: str, advice: str) -> InputError:
    """Return an error about an input: one sentence with the reason, one with the next step.

    Parameters
    ----------
    name : str
        Name of the input, as `name_of` returns it.
    reason : str
        What was found and expected, without a full stop; it follows the name.
    advice : str
        What to do next, without a full stop.
    """
    return InputError(f"`{name}` {reason}. {advice}.", location=name)
