"""The jobs of one run, side by side.

Threads of the run's process each bring one job to its end; user code runs in worker processes. Only the caller's
thread talks to Dagster: it reports outcomes, as many as there are, and then calls `BatchRun.settled`, so that a job is
never ``done`` in the ledger before Dagster knows.
"""

import contextlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from domain.analysis.breaker import Breaker, Trip, trip
from domain.errors import ServerUnavailableError, error_context
from domain.failures import JobError
from domain.job.state import JobState, LedgerEntry
from engine.discovery.analyses import AnalysisEntry
from engine.execution.claims import Claims
from engine.execution.context import RunContext
from engine.execution.job import JobRunner
from engine.execution.outcome import Outcome, RunFacts, Services
from engine.worker.pool import WorkerPool
from resources.ledger.claims import Finished


@dataclass(frozen=True)
class Pace:
    """How a run waits.

    Attributes
    ----------
    poll_s : float
        Between two looks at jobs that another run has claimed.
    gather_s : float
        Outcomes that come this soon after one another are reported together, because each report costs a few writes.
    threads_per_worker : int
        Jobs for each worker process: while one is executed, the files of another are uploaded.
    """

    poll_s: float = 2.0
    gather_s: float = 0.5
    threads_per_worker: int = 2


class BatchRun:
    """Processes the jobs of one run. A context manager: leaving it ends every worker and gives back every claim.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis.
    services : Services
        The outside systems.
    run : RunFacts
        How the run was asked for.
    pool : type of WorkerPool
        How user code is run.
    pace : Pace
        How long the run waits.

    Attributes
    ----------
    stopped : Trip or None
        Why the run has left the rest of its jobs alone.
    """

    def __init__(
        self,
        entry: AnalysisEntry,
        services: Services,
        run: RunFacts,
        *,
        pool: type[WorkerPool] = WorkerPool,
        pace: Pace = Pace(),
    ) -> None:
        workers = entry.analysis.workers or os.cpu_count() or 1
        self._name, self._code_version = entry.analysis.name, entry.code_version
        self._dry_run, self._ledger = run.dry_run, services.ledger
        self._jobs: dict[str, LedgerEntry] = {}
        self._stopping = threading.Event()
        self._breaker, self._ended = entry.analysis.breaker, list[JobError | None]()
        self._counting = threading.Lock()
        self.stopped: Trip | None = None
        self._folder = services.work_folder / f"{os.getpid()}-{uuid.uuid4().hex}"
        self._threads = ThreadPoolExecutor(max_workers=workers * pace.threads_per_worker)
        self._pace = pace
        self._pool = pool(workers=workers, time_limit_s=entry.analysis.time_limit_s)
        owner = f"{run.run_id}/{uuid.uuid4()}"
        self._claims = Claims(services.ledger, owner=owner, run_id=run.run_id, code_version=entry.code_version)
        context = RunContext(
            entry=entry,
            services=services,
            run=run,
            pool=self._pool,
            folder=self._folder,
            claims=self._claims,
            stopping=self._stopping,
        )
        self._halted = context.halted
        self._runner = JobRunner(context)

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

    def outcomes(self, job_keys: Sequence[str]) -> Iterator[list[Outcome]]:
        """Process the jobs and yield outcomes soon after they are there, those of short jobs many at a time.

        Parameters
        ----------
        job_keys : sequence of str
            The run's partitions.

        Yields
        ------
        list of Outcome
            One per key. Jobs that another run has claimed come last: they are asked for again until they are
            released, finished, or their lease expires.
        """
        waiting = list(job_keys)
        self._pool.expect(len(waiting))
        while waiting and not self._halted.is_set():
            self._jobs.update(self._ledger.jobs.get_many(self._name, waiting))
            self._runner.look_up(self._jobs.values())
            deferred = []
            for ended in self._one_pass(waiting):
                deferred += [outcome.job_key for outcome in ended if outcome.kind == "deferred"]
                if settled := [outcome for outcome in ended if outcome.kind != "deferred"]:
                    yield settled
            waiting = deferred
            if waiting and not self._halted.is_set():
                self._stopping.wait(self._pace.poll_s)

    def _process(self, job_key: str) -> Outcome:
        """Bring one job to its end, and see whether it was one failure too many.

        Counted here and not where outcomes are reported: jobs may fail faster than Dagster takes reports.
        """
        outcome = self._runner.process(job_key, self._jobs.get(job_key))
        if self._breaker is not None and not self._dry_run and outcome.kind != "deferred":
            with self._counting:
                self._ended.append(outcome.error)
                if outcome.error is not None and self.stopped is None:
                    self._stop_if_most_fail(self._breaker)
        return outcome

    def _stop_if_most_fail(self, rule: Breaker) -> None:
        """Open the analysis's circuit breaker when most jobs of this run fail in the same way: the rest stays new."""
        self.stopped = trip(self._ended, rule)
        if self.stopped is not None:
            self._halted.set()
            with contextlib.suppress(ServerUnavailableError):  # the sensor's next tick comes to the same conclusion
                self._ledger.breakers.open(self._name, code_version=self._code_version, found=self.stopped)

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """Record in the ledger which jobs are done, after they were reported to Dagster."""
        finished = []
        for outcome in outcomes:
            job = self._jobs.get(outcome.job_key)
            if job is None or outcome.provenance is None or self._dry_run:
                continue
            result = outcome.provenance.result_id
            if outcome.attempt is None:
                version = self._code_version
                with error_context(analysis=self._name, job_key=job.job_key):
                    if not self._ledger.claims.mark_unclaimed(
                        job, state=JobState.DONE, code_version=version, result_id=result, error=None
                    ):
                        self._ledger.requests.report_again(self._name, job.job_key)
            else:
                finished.append(Finished(job, outcome.attempt, result))
        with error_context(analysis=self._name, job_key=finished[0].entry.job_key if len(finished) == 1 else None):
            self._claims.finish(finished)

    def _one_pass(self, job_keys: Sequence[str]) -> Iterator[list[Outcome]]:
        """Hand every job to a thread and yield what comes back; a job that raises stops the run after its fellows."""
        pending: set[Future[Outcome]] = {self._threads.submit(self._process, key) for key in job_keys}
        while pending:
            wait(pending, return_when=FIRST_COMPLETED)
            done, pending = wait(pending, timeout=self._pace.gather_s)
            yield [future.result() for future in done if future.exception() is None]
            for future in done:
                future.result()


def remove_leftovers(work_folder: Path) -> None:
    """Remove the private folders of runs whose process is gone."""
    for folder in work_folder.glob("*-*") if work_folder.is_dir() else ():
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
