"""The worker processes of one run, in pebble's pool: a dying worker fails only its job.

Considered: ``concurrent.futures.ProcessPoolExecutor`` (one dead worker breaks the whole pool, no time limits).
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from domain.failures import JobError
from domain.retry import TRANSIENT_KINDS
from engine.worker.output_redaction import cleaned, cleaned_error
from engine.worker.process import execute, prepare_worker
from engine.worker.task import Task, Work


class WorkerPool:
    """Runs tasks in worker processes, each under a time limit.

    Parameters
    ----------
    workers : int
        Maximum number of concurrent processes.
    time_limit_s : float
        Time after which a task and all of its child processes are killed.
    """

    def __init__(self, *, workers: int, time_limit_s: float) -> None:
        self._workers = workers
        self._time_limit_s = time_limit_s
        self._lock = threading.Lock()
        self._stopped = False
        self._waited_for: dict[ProcessFuture[Work | JobError], Task] = {}
        self._pool: ProcessPool | None = None

    @property
    def is_active(self) -> bool:
        """Whether worker processes run or are restarting; False before the first task."""
        return self._pool is not None and bool(self._pool.active)

    def expect(self, jobs: int) -> None:
        """Limit the number of workers to the number of jobs; call it before the first task."""
        self._workers = max(1, min(self._workers, jobs))

    def run(self, task: Task) -> Work | JobError:
        """Run one task and wait for it.

        Returns
        -------
        Work or JobError
            Outputs of the analysis, or the error.
        """
        try:
            return cleaned(self._result(task), task)
        except FutureTimeoutError:
            return self._failed(task, "time_limit", f"still running after its time limit of {self._time_limit_s:g} s")
        except ProcessExpired as error:
            return self._expired(task, int(error.exitcode))
        except (BrokenProcessPool, CancelledError, RuntimeError) as error:
            return self._failed(task, "killed", f"its worker process could not be used: {error}")

    def end(self, attempt: str) -> None:
        """Kill the process of an attempt with its children; no effect if it has ended."""
        with self._lock:
            for future, task in self._waited_for.items():
                if task.folder.name == attempt:
                    future.cancel()  # type: ignore[no-untyped-call]

    def refuse(self) -> None:
        """Kill the processes of all attempts, and refuse further ones; `stop` then ends the pool."""
        with self._lock:
            self._stopped = True
            for future in self._waited_for:  # pebble does not end pending waits when its pool stops
                future.cancel()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        """Kill all workers and their children. Call it from one thread only."""
        self.refuse()
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()

    def _result(self, task: Task) -> Work | JobError:
        """Wait for a task; `stop` ends the waiting."""
        future = self._schedule(task)
        try:
            return future.result()
        finally:
            with self._lock:
                self._waited_for.pop(future, None)

    def _schedule(self, task: Task) -> ProcessFuture[Work | JobError]:
        """Schedule a task; the pool is started with the first task, and a broken pool is replaced."""
        with self._lock:
            if self._stopped:
                msg = "the run is ending"
                raise RuntimeError(msg)
            if self._pool is None or not self._pool.active:
                self._pool = self._new_pool()
            future = self._pool.schedule(execute, args=(task,), timeout=self._time_limit_s)
            self._waited_for[future] = task
            return future

    def _new_pool(self) -> ProcessPool:
        """Return a pool of fresh interpreters, because a forked copy of a threaded process may deadlock."""
        return ProcessPool(max_workers=self._workers, initializer=prepare_worker, context=FreshContext())

    def _expired(self, task: Task, exit_code: int) -> JobError:
        """Return the error for a worker that died."""
        if exit_code == -signal.SIGKILL:
            return self._failed(task, "killed", "its process was killed (SIGKILL), most often for want of memory")
        if exit_code < 0:
            return self._failed(task, "crash", f"its process crashed with {signal.Signals(-exit_code).name}")
        return self._failed(task, "crash", f"its process exited with code {exit_code} before it returned")

    def _failed(self, task: Task, kind: "str", what: str) -> JobError:
        """Return the error for a process that did not return, and kill its remaining children."""
        with contextlib.suppress(OSError, ValueError):
            os.killpg(int(task.pid_file.read_text(encoding="ascii")), signal.SIGKILL)
        error = JobError.model_validate(
            {"kind": kind, "message": f"The job failed: {what}.", "permanent": kind not in TRANSIENT_KINDS}
        )
        return cleaned_error(error, task)


_swapping = threading.Lock()


class FreshProcess(SpawnProcess):
    """A spawned process that does not import its parent's ``__main__``.

    By default, each spawned process imports it, for functions that are defined there. In a run it is Dagster's
    command line, which takes two seconds of processor time for each worker. Workers do not need it.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  the name that `multiprocessing` calls
        with _no_main_module():
            return SpawnProcess._Popen(process_obj)  # noqa: SLF001  its one hook


class FreshContext(SpawnContext):
    """Context of processes that start with an empty main module."""

    Process = FreshProcess


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the main module while a process is started, for some milliseconds."""
    with _swapping:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
