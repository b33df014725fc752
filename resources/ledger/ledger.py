"""The ledger: one document per job, authoritative for its state.

Every change is one atomic update whose filter says from which state it starts, so of two workers only one succeeds, and
a change can be repeated after a lost response. All times are by the server's clock.
"""

from datetime import datetime

import dagster as dg
from pydantic import Field

from resources.ledger.breakers import Breakers
from resources.ledger.claims import JobClaims
from resources.ledger.commits import Commits
from resources.ledger.documents import INDEXES
from resources.ledger.jobs import Jobs
from resources.ledger.requests import Requests
from resources.ledger.run_counts import RunCounts
from resources.mongo import MongoConnection
from resources.mongo_collection import RetryingCollection

LEASE_S = 60.0


class Ledger(dg.ConfigurableResource["Ledger"]):
    """The jobs of all analyses and their circuit breakers. Each part connects at first use."""

    mongo: dg.ResourceDependency[MongoConnection]
    records_name: str = Field(description="DOCDB_COLLECTION; the ledger is `<name>_jobs`.")
    lease_s: float = Field(
        default=LEASE_S,
        description="Seconds until a claim expires unless it is extended. A run extends its claims four times in that time.",
    )

    @property
    def jobs(self) -> Jobs:
        """Queries of jobs."""
        return Jobs(self._jobs)

    @property
    def requests(self) -> Requests:
        """Requests of operators, job files and sensors: to compute jobs, to compute them again, or to stop."""
        return Requests(self._jobs, self.now)

    @property
    def run_counts(self) -> RunCounts:
        """Counts of requested and started runs."""
        return RunCounts(self._jobs, self.now)

    @property
    def claims(self) -> JobClaims:
        """Claims of runs on jobs, and the ends of attempts."""
        return JobClaims(self._jobs, self.now, self.lease_s)

    @property
    def commits(self) -> Commits:
        """Commits of attempts, which exclude cancellations and cleanings."""
        return Commits(self._jobs, self.claims)

    @property
    def breakers(self) -> Breakers:
        """The circuit breaker of each analysis."""
        return Breakers(self.mongo.collection(f"{self.records_name}_breakers"), self._jobs, self.now)

    def now(self) -> datetime:
        """Return the server's time, which decides whether a lease has expired."""
        return self.mongo.now()

    @property
    def _jobs(self) -> RetryingCollection:
        return self.mongo.collection(f"{self.records_name}_jobs", indexes=INDEXES)
