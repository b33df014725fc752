"""The faults that this suite is known to find: each was in the product, and is found again when its fix is removed.

A fault without a mutation is in the product now. When it is fixed, `test_faults.py` says so: give it the mutation that
brings it back.
"""

import re
from dataclasses import dataclass

from tests.interleaving import mutations
from tests.interleaving.mutations import Mutation


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes
    ----------
    name : str
        What goes wrong.
    problem : str
        Regular expression for the sentence that says so.
    scenarios : tuple of str
        The scenarios that find it, the quickest first.
    mutation : Mutation or None
        What brings it back; None: it is there.
    """

    name: str
    problem: str
    scenarios: tuple[str, ...]
    mutation: Mutation | None = None

    def explains(self, problem: str) -> bool:
        """Return whether a problem is this fault."""
        return re.search(self.problem, problem) is not None


FAULTS = (
    Fault(
        "a stale owner deletes a current result",
        "^moments: ",
        ("two-runs", "force-after-rival", "invalidate-after-rival"),
    ),
    Fault("a force is forgotten when it fails", "^force: .* the job is failed", ("force-vs-failing-run",)),
    Fault("a force is answered by an earlier attempt", "^force: .* the job is done", ("force-vs-uncommitted",)),
    Fault("a force before a claim is answered by reuse", "^force: .* the job is done", ("force-after-rival",)),
    Fault(
        "an invalidated result returns",
        r"^(results|invalidate): attempt|^agreement: the job is failed \(invalidated\), and a record is current",
        ("invalidate-after-rival",),
    ),
    Fault(
        "a reuse is settled over an invalidation",
        "^agreement: the job is done without a record|^invalidate: nobody requested the job again",
        ("invalidate-vs-reuse", "invalidate-and-rerun-vs-run", "invalidate-after-rival"),
    ),
    Fault("a request for new code is lost", "^submit: ", ("new-code-vs-rerun", "new-code-vs-run")),
    Fault(
        "a cancelled job is published",
        "^cancel: ",
        ("cancel-vs-run", "cancel-vs-forced-run", "cancel-and-rerun-vs-run"),
    ),
    Fault("a run polls for a job that was archived", "^stuck: ", ("archive-vs-run",)),
    Fault(
        "Dagster shows a result that was replaced meanwhile",
        "^agreement: Dagster shows another attempt",
        ("forced-run-vs-run", "forced-run-vs-forced-run"),
    ),
    Fault(
        "an invalidation fails the job of a newer result",
        r"^agreement: the job is failed \(invalidated\), and a record is current",
        ("invalidate-vs-forced-run",),
    ),
    Fault(
        "superseded attempts are committed again",
        "^(results|invalidate): attempt",
        ("invalidate-and-rerun-vs-run",),
        mutations.superseded_attempts_are_forgotten,
    ),
    Fault("a job is claimed twice", "^executions: ", ("two-runs",), mutations.claims_are_not_exclusive),
    Fault("a reuse clears a later force", "^force: ", ("force-vs-reuse",), mutations.a_reuse_clears_later_forces),
    Fault(
        "a record takes the place of a newer one",
        "^results: .* was lost",
        ("forced-run-vs-forced-run",),
        mutations.any_record_is_replaced,
    ),
    Fault(
        "an invalidation deletes a newer record",
        "^agreement: the job is done without a record",
        ("invalidate-vs-forced-run",),
        mutations.any_record_is_deleted,
    ),
    Fault("a tick releases a running job", "^executions: ", ("tick-vs-run",), mutations.running_jobs_are_released),
    Fault(
        "clean removes what a run still writes",
        "^(results|moments): ",
        ("clean-vs-run",),
        mutations.running_attempts_are_cleaned,
    ),
)
