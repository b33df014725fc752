"""The jobs of one run, side by side.

Threads of the run's process each bring one job to its end; user code runs in worker processes. Only the caller's
thread talks to Dagster: it reports an outcome and then calls `BatchRun.settled`, so that a job is never ``done`` in
the ledger before Dagster knows.
"""

import os
import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Self

import psutil

from analysis_assets._catalog import CatalogEntry
from analysis_assets._claims import Claims
from analysis_assets._job import JobRunner
from analysis_assets._outcome import Outcome, RunFacts, Services
from analysis_assets._pool import WorkerPool
from domain.breaker import Trip, trip
from domain.failures import JobError
from domain.job_state import JobState, LedgerEntry

_THREADS_PER_WORKER = 2
_POLL_S = 2.0


class BatchRun:
    """Works off the jobs of one run. A context manager: leaving it ends every worker and gives back every claim.

    Parameters
    ----------
    entry : CatalogEntry
        The analysis.
    services : Services
        The outside systems.
    run : RunFacts
        How the run was asked for.

    Attributes
    ----------
    stopped : Trip or None
        Why the run has left the rest of its jobs alone.
    """

    def __init__(self, entry: CatalogEntry, services: Services, run: RunFacts) -> None:
        workers = entry.analysis.workers or os.cpu_count() or 1
        self._name, self._code_version = entry.analysis.name, entry.code_version
        self._dry_run, self._ledger = run.dry_run, services.ledger
        self._jobs: dict[str, LedgerEntry] = {}
        self._stopping = threading.Event()
        self._breaker, self._ended = entry.analysis.breaker, list[JobError | None]()
        self.stopped: Trip | None = None
        self._folder = services.work_folder / f"{os.getpid()}-{uuid.uuid4().hex}"
        self._threads = ThreadPoolExecutor(max_workers=workers * _THREADS_PER_WORKER)
        self._pool = WorkerPool(workers=workers, time_limit_s=entry.analysis.time_limit_s)
        owner = f"{run.run_id}/{uuid.uuid4()}"
        self._claims = Claims(services.ledger, owner=owner, run_id=run.run_id, code_version=entry.code_version)
        self._runner = JobRunner(
            entry=entry,
            services=services,
            run=run,
            pool=self._pool,
            folder=self._folder,
            stopping=self._stopping,
            claims=self._claims,
        )

    def __enter__(self) -> Self:
        """Make the run's folder and start the heartbeat of its leases."""
        remove_leftovers(self._folder.parent)
        self._folder.mkdir(parents=True)
        threading.Thread(target=self._claims.keep, args=(self._stopping, self._pool.end), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers, wait for the threads, and give back what was not finished."""
        self._stopping.set()
        self._pool.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._claims.release_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def outcomes(self, job_keys: Sequence[str]) -> Iterator[Outcome]:
        """Work off the jobs and yield each outcome as soon as it is there.

        Parameters
        ----------
        job_keys : sequence of str
            The run's partitions.

        Yields
        ------
        Outcome
            One per key, in the order in which they end. Jobs that another run has claimed come last: they are asked
            for again until they are released, finished, or their lease expires.
        """
        waiting = list(job_keys)
        self._pool.expect(len(waiting))
        while waiting and not self._runner.halted.is_set():
            self._jobs.update(self._ledger.get_many(self._name, waiting))
            put_off = []
            for outcome in self._one_pass(waiting):
                if outcome.kind == "put_off":
                    put_off.append(outcome.job_key)
                else:
                    self._count(outcome)
                    yield outcome
            waiting = put_off
            if waiting and not self._runner.halted.is_set():
                self._stopping.wait(_POLL_S)

    def _count(self, outcome: Outcome) -> None:
        """Open the analysis's circuit breaker when most jobs of this run fail in the same way: the rest stays new."""
        if self._breaker is None or self._dry_run or self.stopped is not None:
            return
        self._ended.append(outcome.error)
        self.stopped = trip(self._ended, self._breaker)
        if self.stopped is not None:
            self._ledger.open_breaker(self._name, code_version=self._code_version, found=self.stopped)
            self._runner.halted.set()

    def settled(self, outcome: Outcome) -> None:
        """Record in the ledger that a job is done, after Dagster was told."""
        job = self._jobs.get(outcome.job_key)
        if job is None or outcome.provenance is None or self._dry_run:
            return
        result = outcome.provenance.result_id
        if outcome.attempt is None:
            version = self._code_version
            self._ledger.settle(job, state=JobState.DONE, code_version=version, result_id=result, error=None)
        else:
            self._claims.finish(outcome.attempt, job, result)

    def _one_pass(self, job_keys: Sequence[str]) -> Iterator[Outcome]:
        """Hand every job to a thread and yield what comes back."""
        futures = [self._threads.submit(self._runner.work_off, key, self._jobs.get(key)) for key in job_keys]
        for future in as_completed(futures):
            yield future.result()


def remove_leftovers(work_folder: Path) -> None:
    """Remove the private folders of runs whose process is gone."""
    for folder in work_folder.glob("*-*") if work_folder.is_dir() else ():
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
