"""The claims of one run on jobs, kept alive by a heartbeat.

A claim can be lost while its job is computed: an operator cancelled the job, or this process was suspended for longer than a
lease and another run claimed it. The job's process is then ended, and nothing is published.
"""

import contextlib
import threading
from collections.abc import Callable, Collection, Sequence

from domain.errors import ServerUnavailableError
from domain.failures import JobError
from domain.job.state import Commit, JobState, LedgerEntry
from resources.ledger.claims import Finished
from resources.ledger.ledger import Ledger


class Claims:
    """The unfinished claims of one run; thread-safe.

    Parameters
    ----------
    ledger : Ledger
        Ledger in which jobs are claimed.
    owner, run_id, code_version : str
        Worker process that holds the claims, its Dagster run, and the code version that it executes.
    """

    def __init__(self, ledger: Ledger, *, owner: str, run_id: str, code_version: str) -> None:
        self._ledger, self._owner = ledger, owner
        self._run_id, self._code_version = run_id, code_version
        self._open: dict[str, LedgerEntry] = {}
        self._lost: set[str] = set()

    def claim(self, job: LedgerEntry, attempt: str, states: Collection[JobState]) -> LedgerEntry | None:
        """Claim a job for an attempt; None if it is in another state or another run has it."""
        claimed = self._ledger.claims.claim(
            job,
            attempt=attempt,
            owner=self._owner,
            run_id=self._run_id,
            code_version=self._code_version,
            states=states,
        )
        if claimed is not None:
            self._open[attempt] = claimed
        return claimed

    def holds(self, attempt: str) -> bool:
        """Return whether an attempt still has its job, according to the ledger; called right before it becomes complete."""
        job = self._open.get(attempt)
        if job is None or not self._ledger.claims.holds(job, attempt):
            self._lost.add(attempt)
        return attempt not in self._lost

    def begin_commit(self, attempt: str, commit: Commit) -> bool:
        """Announce a commit in the ledger; return False if the attempt has lost its job, or its files are being removed."""
        job = self._open.get(attempt)
        if job is not None and self._ledger.commits.begin(job, commit, attempt=attempt):
            return True
        self.holds(attempt)  # records a loss
        return False

    def is_lost(self, attempt: str) -> bool:
        """Return whether an attempt was found to have lost its job."""
        return attempt in self._lost

    def drop(self, attempt: str) -> None:
        """Remove a claim that was finished or lost."""
        self._open.pop(attempt, None)

    def release(self, attempt: str) -> None:
        """Release a job, so that it can be claimed again."""
        if (job := self._open.get(attempt)) is not None:
            self._ledger.claims.release(job, attempt=attempt)
        self.drop(attempt)

    def release_all(self) -> None:
        """Release all unfinished jobs; if the server is unavailable, their leases expire."""
        with contextlib.suppress(ServerUnavailableError):
            for attempt in list(self._open):
                self.release(attempt)

    def fail(self, attempt: str, error: JobError, *, retry_in_s: float | None) -> None:
        """Record that a claimed job failed."""
        if (job := self._open.get(attempt)) is not None:
            self._ledger.claims.fail(
                job, attempt=attempt, code_version=self._code_version, error=error, retry_in_s=retry_in_s
            )
        self.drop(attempt)

    def finish(self, finished: Sequence[Finished]) -> None:
        """Record that claimed jobs have their results, which were reported to Dagster."""
        if not finished:
            return
        for late in self._ledger.claims.finish(finished, code_version=self._code_version):
            self._ledger.requests.report_again(late.entry.analysis, late.entry.job_key)
        for job in finished:
            self.drop(job.attempt)

    def keep(self, stopping: threading.Event, end_job: Callable[[str], None]) -> None:
        """Extend the leases until the run ends, also after the server was unavailable.

        Parameters
        ----------
        stopping : threading.Event
            Set when the run ends.
        end_job : callable
            Ends the process of an attempt that has lost its job.
        """
        while not stopping.wait(self._ledger.lease_s / 4):
            with contextlib.suppress(ServerUnavailableError):
                for attempt in self._beat():
                    end_job(attempt)

    def _beat(self) -> set[str]:
        """Extend the leases once; return the attempts that have lost their job."""
        mine = set(self._open)  # before the query, which does not cover later claims
        if not mine:
            return set()
        self._ledger.claims.extend(self._owner)
        lost = mine - self._ledger.claims.held_by(self._owner)
        self._lost |= lost & set(self._open)  # a job that was finished in between is not lost
        return lost
