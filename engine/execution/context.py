"""State that the attempts of one run share."""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from domain.job.identity import result_id
from domain.job.state import LedgerEntry
from engine.discovery.analyses import AnalysisEntry
from engine.execution.claims import Claims
from engine.execution.environment import RunCode, RunEnvironment, run_environment
from engine.execution.outcome import RunFacts, Services
from engine.worker.pool import WorkerPool


@dataclass(frozen=True)
class RunContext:
    """One run of an analysis, as each of its attempts sees it.

    Attributes
    ----------
    entry : AnalysisEntry
        The analysis and its code version, which do not change during the run.
    services : Services
        Clients of the external systems.
    run : RunFacts
        How the run was requested.
    pool : WorkerPool
        Where user code runs.
    folder : Path
        The run's local folder; each attempt has a private folder in it.
    claims : Claims
        The run's claims on jobs.
    code : RunCode
        State of the repository at the start of the run: a commit that is made while jobs run must not be recorded.
    stopping : threading.Event
        Set when the run is to end.
    halted : threading.Event
        Set when no further job is to be claimed; running ones are finished.
    environment_stored : threading.Event
        Set when the documents about the environment are in the bucket.
    """

    entry: AnalysisEntry
    services: Services
    run: RunFacts
    pool: WorkerPool
    folder: Path
    claims: Claims
    code: RunCode
    stopping: threading.Event
    halted: threading.Event = field(default_factory=threading.Event)
    environment_stored: threading.Event = field(default_factory=threading.Event)

    def result_id(self, job: LedgerEntry) -> str:
        """Return the id of the result that the current code makes of a job."""
        return result_id(self.entry.analysis.name, self.entry.code_version, job.job_key)

    def force_reason(self, job: LedgerEntry) -> str:
        """Return why this job is to be computed again, or an empty string."""
        return self.run.force_reason or (job.force.reason if job.force else "")

    @cached_property
    def environment(self) -> RunEnvironment:
        """The environment of the run's processes; it does not change during the run."""
        return run_environment(self.services.machine, self.code)

    def stored_environment(self) -> RunEnvironment:
        """Return the environment after its documents are in the bucket: a record names them by digest.

        No lock is held meanwhile; two threads may store the same documents.
        """
        if not self.environment_stored.is_set():
            self.environment.store(self.services.results)
            self.environment_stored.set()
        return self.environment
