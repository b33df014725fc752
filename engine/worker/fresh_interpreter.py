"""Fresh interpreters for worker processes, without the program that the run was started by.

`multiprocessing` lets each spawned process import its parent's ``__main__``, for functions that are defined there. A
run's is Dagster's command line: two seconds of processor time for each worker, in which no job is begun. A worker needs
nothing of it.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

_swapping = threading.Lock()


class _FreshProcess(SpawnProcess):
    """A spawned process that does not import its parent's main module."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  the name that `multiprocessing` calls
        """Start it."""
        with _no_main_module():
            return SpawnProcess._Popen(process_obj)  # noqa: SLF001  its one hook


class FreshContext(SpawnContext):
    """Gives processes that begin with an empty main module."""

    Process = _FreshProcess


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the main module from what prepares a new process; for some milliseconds."""
    with _swapping:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
