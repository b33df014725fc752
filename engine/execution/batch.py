"""Processes the jobs of one run concurrently.

Each thread of the run's process handles one job at a time; user code runs in worker processes. Only the caller's thread uses
Dagster: it reports the available outcomes and then calls `BatchRun.settled`, so that a job is ``done`` in the ledger only
after Dagster has its result.
"""

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from domain.analysis.breaker import Breaker, Trip, trip
from domain.errors import ServerUnavailableError, error_context
from domain.failures import JobError
from domain.job.state import JobState, LedgerEntry
from engine.discovery.analyses import AnalysisEntry
from engine.execution.claims import Claims
from engine.execution.context import RunContext
from engine.execution.environment import RunCode, run_code
from engine.execution.job import JobRunner
from engine.execution.outcome import Outcome, RunFacts, Services
from engine.execution.run_folder import RunFolder
from engine.worker.pool import WorkerPool
from engine.worker.processors import available_cpus
from resources.ledger.claims import Finished


@dataclass(frozen=True)
class Pace:
    """Intervals and concurrency of a run.

    Attributes
    ----------
    poll_s : float
        Interval between checks of jobs that another run has claimed (s).
    gather_s : float
        Outcomes within this time are reported together, because each report costs a few writes (s).
    threads_per_worker : int
        Number of jobs per worker process: while one is executed, the files of another are uploaded.
    check_s : float
        Interval between checks whether Dagster still counts the run (s).
    """

    poll_s: float = 2.0
    gather_s: float = 0.5
    threads_per_worker: int = 2
    check_s: float = 60.0


class BatchRun:
    """Processes the jobs of one run. As a context manager, it ends every worker and releases every claim on exit.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis, with its current code version.
    services : Services
        Clients of the external systems.
    run : RunFacts
        How the run was requested.
    pool : type of WorkerPool
        Class that executes user code.
    pace : Pace
        Intervals, and number of threads per worker process.
    code : RunCode, optional
        State of the repository; by default it is read now.
    ended : callable, optional
        Returns how Dagster has ended this run, such as ``FAILURE``; None while it counts the run, or cannot say.

    Attributes
    ----------
    given_up : str or None
        How Dagster has ended the run although it was running; its jobs are left to other runs.
    stopped : Trip or None
        Why the run left its remaining jobs; None if it did not.
    """

    def __init__(  # noqa: PLR0913  the last four have defaults, which only tests and the asset replace
        self,
        entry: AnalysisEntry,
        services: Services,
        run: RunFacts,
        *,
        pool: type[WorkerPool] = WorkerPool,
        pace: Pace = Pace(),
        code: RunCode | None = None,
        ended: Callable[[], str | None] = lambda: None,
    ) -> None:
        workers = entry.analysis.workers or available_cpus()
        self._name, self._code_version = entry.analysis.name, entry.code_version
        self._dry_run, self._ledger, self._run_id = run.dry_run, services.ledger, run.run_id
        self._jobs: dict[str, LedgerEntry] = {}
        self._stopping = threading.Event()
        self._breaker, self._ended = entry.analysis.breaker, list[JobError | None]()
        self._breaker_changed: datetime | None = None
        self._counting = threading.Lock()
        self.stopped: Trip | None = None
        self.given_up: str | None = None
        self._ended_by_dagster = ended
        self._folder = RunFolder(services.machine.work_folder)
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
            folder=self._folder.path,
            claims=self._claims,
            code=code or run_code(entry, services.machine),
            stopping=self._stopping,
        )
        self._halted = context.halted
        self._runner = JobRunner(context)

    def __enter__(self) -> Self:
        """Create the run's folder and start the heartbeat of its leases."""
        self._folder.create()
        threading.Thread(target=self._claims.keep, args=(self._stopping, self._pool.end), daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers, wait for the threads, and release unfinished jobs."""
        self._stopping.set()
        self._pool.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._claims.release_all()
        self._folder.remove()

    def outcomes(self, job_keys: Sequence[str]) -> Iterator[list[Outcome]]:
        """Process the jobs and yield outcomes soon after they are available; those of short jobs in larger lists.

        Parameters
        ----------
        job_keys : sequence of str
            Keys of the run's jobs, which name its partitions.

        Yields
        ------
        list of Outcome
            One per key. Jobs that another run has claimed come last: they are checked repeatedly until
            they are released or finished, or their lease expires.
        """
        waiting = list(job_keys)
        self._pool.expect(len(waiting))
        if not self._dry_run:
            self._ledger.run_counts.count_started(self._name, waiting, run_id=self._run_id)
            self._breaker_changed = self._ledger.breakers.state(self._name, code_version=self._code_version).changed
        while waiting and not self._halted.is_set():
            self._jobs.update(self._ledger.jobs.get_many(self._name, waiting))
            self._runner.look_up(self._jobs.values())
            deferred = []
            for ended in self._one_pass(waiting):
                deferred += [outcome.job_key for outcome in ended if outcome.kind == "deferred"]
                if settled := [outcome for outcome in ended if self._is_settled(outcome)]:
                    yield settled
            waiting = deferred
            if waiting and not self._halted.is_set():
                self._stopping.wait(self._pace.poll_s)
                self._give_up_if_ended()  # a job that was freed because this run was given up is not claimed again

    def _is_settled(self, outcome: Outcome) -> bool:
        """Return whether an outcome is to be reported: not of a job that was deferred, or ended because the run was given up."""
        return outcome.kind != "deferred" and (self.given_up is None or outcome.provenance is not None)

    def _watch(self) -> None:
        """Check until the run ends whether Dagster still counts it."""
        while not self._stopping.wait(self._pace.check_s):
            self._give_up_if_ended()

    def _give_up_if_ended(self) -> None:
        """End all jobs if Dagster has ended this run, as run monitoring does when an engine says that it has died."""
        if self._stopping.is_set() or (found := self._ended_by_dagster()) is None:
            return
        self.given_up = found
        self._halted.set()
        self._stopping.set()
        self._pool.refuse()

    def _process(self, job_key: str) -> Outcome:
        """Process one job, and open the circuit breaker if too many have failed.

        Failures are counted here and not where outcomes are reported: jobs may fail faster than Dagster accepts reports.
        """
        outcome = self._runner.process(job_key, self._jobs.get(job_key))
        if self._breaker is not None and not self._dry_run and outcome.kind != "deferred":
            with self._counting:
                self._ended.append(outcome.error)
                if outcome.error is not None and self.stopped is None:
                    self._stop_if_most_fail(self._breaker)
        return outcome

    def _stop_if_most_fail(self, rule: Breaker) -> None:
        """Open the analysis's circuit breaker when most jobs of this run fail in the same way; its other jobs stay new."""
        found = trip(self._ended, rule)
        if found is None:
            return
        breakers, version = self._ledger.breakers, self._code_version
        with contextlib.suppress(ServerUnavailableError):  # the sensor's next tick opens it instead
            opened = breakers.open(self._name, code_version=version, found=found, seen=self._breaker_changed)
            now = None if opened else breakers.state(self._name, code_version=version)
            if now is not None and now.opened is None:
                # An operator has closed it since this run began, so earlier failures no longer count.
                self._breaker_changed = now.changed
                self._ended.clear()
                return
        self.stopped = found
        self._halted.set()

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """Mark jobs done in the ledger, after they were reported to Dagster."""
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
        """Submit every job to a thread and yield the outcomes; an exception ends the run after the other jobs."""
        pending: set[Future[Outcome]] = {self._threads.submit(self._process, key) for key in job_keys}
        while pending:
            wait(pending, return_when=FIRST_COMPLETED)
            done, pending = wait(pending, timeout=self._pace.gather_s)
            yield [future.result() for future in done if future.exception() is None]
            for future in done:
                future.result()
