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
        "Dagster shows a result that was replaced meanwhile",
        "^agreement: Dagster shows another attempt",
        ("forced-run-vs-run",),
        mutations.results_are_not_reported_again,
    ),
    Fault(
        "Dagster shows a result that was computed by a run whose lease has expired",
        "^agreement: Dagster shows another attempt",
        ("forced-run-vs-forced-run",),
        mutations.results_are_not_reported_again,
    ),
    Fault(
        "an invalidation fails the job of a newer result",
        r"^agreement: the job is failed \(invalidated\), and a record is current",
        ("invalidate-vs-forced-run",),
        mutations.results_are_invalidated_unseen,
    ),
    Fault(
        "a job is cancelled after another run has finished its commit",
        "^cancel: ",
        ("cancel-vs-recovery",),
        mutations.commits_are_cancelled,
    ),
    Fault(
        "a run by hand claims a job that was cancelled after it was read",
        "^cancel: attempt .* was published after",
        ("cancel-vs-run-by-hand",),
        mutations.jobs_that_failed_meanwhile_are_claimed,
    ),
    Fault(
        "a stale owner deletes a current result",
        "^moments: ",
        ("two-runs", "force-after-rival", "invalidate-after-rival"),
        mutations.claims_are_checked_late,
    ),
    Fault(
        "a force is forgotten when it fails",
        "^force: .* the job is failed",
        ("force-vs-failing-run",),
        mutations.failing_clears_a_force,
    ),
    Fault(
        "a force is answered by an earlier attempt",
        "^force: .* the job is done",
        ("force-vs-complete", "force-vs-recovery"),
        mutations.any_attempt_may_be_used,
    ),
    Fault(
        "a force before a claim is answered by reuse",
        "^force: .* the job is done",
        ("force-after-rival",),
        mutations.any_attempt_may_be_used,
    ),
    Fault(
        "an invalidated result returns",
        "^(results|invalidate): attempt",
        ("invalidate-after-rival",),
        mutations.invalidated_records_leave_nothing,
    ),
    Fault(
        "a reuse marks an invalidated job as done",
        "^agreement: the job is done without a record|^invalidate: the job was not requested again",
        ("invalidate-vs-reuse", "invalidate-and-rerun-vs-run", "invalidate-after-rival"),
        mutations.changes_since_a_job_was_read_are_ignored,
    ),
    Fault(
        "a reuse clears a later force",
        "^force: ",
        ("force-vs-reuse",),
        mutations.changes_since_a_job_was_read_are_ignored,
    ),
    Fault(
        "a request for new code is lost",
        "^submit: ",
        ("new-code-vs-run", "new-code-vs-rerun"),
        mutations.requests_for_code_are_not_kept,
    ),
    Fault(
        "a cancelled job is published",
        "^cancel: ",
        ("cancel-vs-run", "cancel-vs-forced-run", "cancel-and-rerun-vs-run"),
        mutations.commits_are_cancelled,
    ),
    Fault(
        "an attempt without its claim is published",
        "^cancel: ",
        ("cancel-vs-run", "cancel-vs-forced-run", "cancel-and-rerun-vs-run"),
        mutations.commits_begin_without_a_claim,
    ),
    Fault("a job is claimed twice", "^executions: ", ("two-runs",), mutations.claims_are_not_exclusive),
    Fault(
        "a record takes the place of a newer one",
        "^results: .* was lost",
        ("forced-run-vs-forced-run",),
        mutations.any_record_is_replaced,
    ),
    Fault("a tick releases a running job", "^executions: ", ("tick-vs-run",), mutations.running_jobs_are_released),
    Fault(
        "a circuit breaker that an operator closed opens by earlier failures",
        "^breakers: a person closed it",
        ("resume-vs-failing-run",),
        mutations.breakers_open_unseen,
    ),
    Fault(
        "a circuit breaker that opened again is closed by an earlier success",
        "^breakers: the platform closed it",
        ("tick-vs-resume-and-failing-run",),
        mutations.breakers_close_unseen,
    ),
    Fault(
        "clean removes what a run still writes",
        "^(results|moments): ",
        ("clean-vs-run",),
        mutations.running_attempts_are_cleaned,
    ),
)
