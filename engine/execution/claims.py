"""The claims of one run on jobs, kept alive by a heartbeat.

A claim can be lost while its job is computed: an operator cancelled the job, or this process stood still for longer than a
lease lasts and another run claimed it. Then the job's process is ended, and nothing of it is published.
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
    """What one run has claimed and not settled yet. Safe to use from several threads.

    Parameters
    ----------
    ledger : Ledger
        Where jobs are claimed.
    owner, run_id, code_version : str
        Who claims, for which Dagster run, and the code that is executed.
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
        """Return whether an attempt still has its job, by the ledger: right before it would become complete."""
        job = self._open.get(attempt)
        if job is None or not self._ledger.claims.holds(job, attempt):
            self._lost.add(attempt)
        return attempt not in self._lost

    def begin_commit(self, attempt: str, commit: Commit) -> bool:
        """Announce a commit in the ledger; False if the attempt has lost its job, or there is nothing left to commit."""
        job = self._open.get(attempt)
        if job is not None and self._ledger.claims.begin_commit(job, commit, attempt=attempt):
            return True
        self.holds(attempt)  # notes that it is lost, if it is
        return False

    def is_lost(self, attempt: str) -> bool:
        """Return whether an attempt was found to have lost its job."""
        return attempt in self._lost

    def drop(self, attempt: str) -> None:
        """Forget a claim that was settled, or lost."""
        self._open.pop(attempt, None)

    def release(self, attempt: str) -> None:
        """Give a job back, to be tried again."""
        if (job := self._open.get(attempt)) is not None:
            self._ledger.claims.release(job, attempt=attempt)
        self.drop(attempt)

    def release_all(self) -> None:
        """Give everything back that is not settled; the leases expire if the server is unavailable."""
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
        """Extend the leases once; returns the attempts that have lost their job."""
        mine = set(self._open)  # before the ledger is asked: what is claimed meanwhile is not looked for
        if not mine:
            return set()
        self._ledger.claims.extend(self._owner)
        lost = mine - self._ledger.claims.held_by(self._owner)
        self._lost |= lost & set(self._open)  # what was settled in between is not lost
        return lost
