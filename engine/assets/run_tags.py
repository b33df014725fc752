"""Tags the run that is at work with what its jobs are about, so that people find it.

Dagster keeps a run's status apart from its tags: adding some at work cannot undo a change of the status that somebody
else makes in the same moment, such as a cancellation.
"""

from collections.abc import Iterable

import dagster as dg

from domain.job.run_tags import Found, found_in_job, found_in_result, is_tagged, tags_of
from domain.job.state import LedgerEntry
from domain.result.provenance import Provenance


class RunTags:
    """The tags of one run.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Where the run is.
    run : dagster.DagsterRun
        The run, with the tags that it was launched with.
    """

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        self._instance, self._run_id, self._known = instance, run.run_id, dict(run.tags)
        self._seen: Found = set()

    @property
    def are_missing(self) -> bool:
        """Whether the run was launched without: by a person, or by a backfill."""
        return not is_tagged(self._known)

    def add_jobs(self, jobs: Iterable[LedgerEntry]) -> None:
        """Tag the run with what is known before its jobs are run."""
        self._add(set().union(*(found_in_job(job) for job in jobs)))

    def add_results(self, results: Iterable[Provenance]) -> None:
        """Tag the run with subjects and sessions that were read from inputs; one write, and none without news."""
        self._add(set().union(*(found_in_result(one) for one in results)))

    def _add(self, found: Found) -> None:
        """Add what is new."""
        new = tags_of(found - self._seen, known=self._known)
        self._seen |= found
        if new:
            self._instance.add_run_tags(self._run_id, new)
            self._known.update(new)
