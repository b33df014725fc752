"""The faults that this suite is known to find: each was in the product, and is found again when its fix is removed.

A fault without a mutation is in the product now. When it is fixed, `test_faults.py` says so: give it the mutation that
brings it back.
"""

import re
from dataclasses import dataclass

from tests.interleaving.mutations import Mutation, lost_claims_publish, superseded_attempts_are_forgotten


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes
    ----------
    name : str
        What goes wrong.
    scenario : str
        The scenario that finds it.
    problem : str
        Regular expression for the sentence that says so.
    mutation : Mutation or None
        What brings it back; None: it is there.
    """

    name: str
    scenario: str
    problem: str
    mutation: Mutation | None = None

    def explains(self, problem: str) -> bool:
        """Return whether a problem is this fault."""
        return re.search(self.problem, problem) is not None


FAULTS = (
    Fault("a stale owner deletes a current result", "two-runs", "^moments: files of the current attempt"),
    Fault("a stale owner deletes a current result, then a force", "force-after-rival", "^moments: "),
    Fault("a stale owner deletes a current result, then an invalidation", "invalidate-after-rival", "^moments: "),
    Fault("a force is forgotten when it fails", "force-vs-failing-run", "^force: .* the job is failed"),
    Fault("a force is answered by an earlier attempt", "force-vs-uncommitted", "^force: "),
    Fault("a force just before the claim is answered by reuse", "force-after-rival", "^force: .* the job is done"),
    Fault("an invalidated result returns", "invalidate-after-rival", "^(results|invalidate): attempt"),
    Fault("a reuse is settled over an invalidation", "invalidate-vs-reuse", "^agreement: the job is done without"),
    Fault(
        "a reuse is settled over an invalidation and a rerun",
        "invalidate-and-rerun-vs-run",
        "^agreement: the job is done without",
    ),
    Fault("a request for new code is lost", "new-code-vs-run", "^submit: "),
    Fault("a request for new code is lost while a result is computed again", "new-code-vs-rerun", "^submit: "),
    Fault("a cancelled job is published", "cancel-vs-run", "^cancel: "),
    Fault("a cancelled forced job is published", "cancel-vs-forced-run", "^cancel: "),
    Fault("a cancelled job that is requested again is published", "cancel-and-rerun-vs-run", "^cancel: "),
    Fault("a run polls for a job that was archived", "archive-vs-run", "^stuck: "),
    Fault(
        "superseded attempts are committed again",
        "invalidate-and-rerun-vs-run",
        "^(results|invalidate): ",
        superseded_attempts_are_forgotten,
    ),
    Fault(
        "an attempt that lost its claim publishes",
        "cancel-vs-run",
        "^cancel: attempt .* was published after",
        lost_claims_publish,
    ),
)
