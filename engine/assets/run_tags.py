"""Tags a running run with subjects, sessions and labels of its jobs, so that users find it.

Dagster stores the status of a run separately from its tags: adding tags during execution cannot undo a concurrent
change of the status, such as a cancellation.
"""

from collections.abc import Iterable

import dagster as dg

from domain.job.run_tags import TagValues, found_in_job, found_in_result, is_tagged, tags_of
from domain.job.state import LedgerEntry
from domain.result.provenance import Provenance


class RunTags:
    """The tags of one run.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Instance that stores the run.
    run : dagster.DagsterRun
        The run, with its tags at launch.
    """

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        self._instance, self._run_id, self._known = instance, run.run_id, dict(run.tags)
        self._seen: TagValues = set()

    @property
    def are_missing(self) -> bool:
        """Whether the run was launched without these tags: by a user, or by a backfill."""
        return not is_tagged(self._known)

    def add_jobs(self, jobs: Iterable[LedgerEntry]) -> None:
        """Add the tags that are known before the jobs are executed."""
        self._add(set().union(*(found_in_job(job) for job in jobs)))

    def add_results(self, results: Iterable[Provenance]) -> None:
        """Add subjects and sessions that were read from inputs, in one write; none if there are no new ones."""
        self._add(set().union(*(found_in_result(one) for one in results)))

    def _add(self, found: TagValues) -> None:
        new = tags_of(found - self._seen, known=self._known)
        self._seen |= found
        if new:
            self._instance.add_run_tags(self._run_id, new)
            self._known.update(new)
