"""Applies safe repairs, to job states and to what Dagster shows. Results are never deleted or changed here.

Most repairs set a job to new. The sensor and the run then proceed as after a crash: they reuse a record, commit a
complete attempt, or compute the job again.
"""

from collections import Counter
from collections.abc import Callable

from audit.findings import KINDS, Finding
from audit.sources import Sources
from domain.failures import ENDED_BY_PEOPLE
from domain.job.state import JobState
from domain.result.records import from_record, search_fields
from engine.assets.builtin_checks import by_looking
from engine.assets.checks import judge_reused
from engine.assets.materialization import materialization
from engine.execution.publish import stored_figure


class Repairer:
    """Fixes findings one by one, and counts the repairs.

    Parameters
    ----------
    sources : Sources
        Connections to all systems; written to.
    who : str
        Name of the operator; stored with each forced job.

    Attributes
    ----------
    repaired, left : Counter
        Number of findings by kind that were fixed, and that were left to the operator.
    """

    def __init__(self, sources: Sources, *, who: str) -> None:
        self._sources, self._who = sources, who
        self.repaired: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self._ways: dict[str, Callable[[Finding], bool]] = {
            "files_missing": self._make_new_if_current,
            "files_differ": self._make_new_if_current,
            "done_without_record": self._make_new,
            "materialization_without_record": self._make_new,
            "record_of_failed_job": self._make_new,
            "uncommitted_attempt": self._make_new,
            "expired_lease": self._release,
            "dead_run": self._release,
            "not_materialized": self._materialize,
            "job_without_partition": self._add_partition,
            "not_searchable": self._make_searchable,
        }

    def fix(self, finding: Finding) -> None:
        """Fix a finding if that is safe; otherwise leave it to the operator."""
        way = self._ways.get(finding.kind) if KINDS[finding.kind].remedy == "repair" else None
        done = way is not None and way(finding)
        (self.repaired if done else self.left)[finding.kind] += 1

    def _make_new(self, finding: Finding) -> bool:
        """Set an ended job to new; cancelled and invalidated jobs stay as they are."""
        if not finding.analysis or not finding.job_key:
            return False
        job = self._sources.ledger.jobs.get(finding.analysis, finding.job_key)
        if job is None or (job.error is not None and job.error.kind in ENDED_BY_PEOPLE):
            return False
        requests = self._sources.ledger.requests
        return requests.requeue(finding.analysis, [finding.job_key], who=self._who, ended_by_people=False) == 1

    def _make_new_if_current(self, finding: Finding) -> bool:
        """Set a job with a damaged result of the current code to new: a run does not compute older code."""
        entry = self._sources.entries.get(finding.analysis)
        record = self._sources.records.get(finding.result_id)
        if entry is None or record is None or from_record(record).code_version != entry.code_version:
            return False
        return self._make_new(finding)

    def _release(self, finding: Finding) -> bool:
        """Release a job whose run has ended."""
        job = self._sources.ledger.jobs.get(finding.analysis, finding.job_key)
        if job is None or job.lease is None or job.state is not JobState.RUNNING:
            return True  # released in the meantime
        dead = [job.lease.run_id] if finding.kind == "dead_run" else []
        self._sources.ledger.claims.release_lost(finding.analysis, dead_runs=dead)
        return True

    def _materialize(self, finding: Finding) -> bool:
        """Report a materialization to Dagster; this rebuilds its storage."""
        record, instance = self._sources.records.get(finding.result_id), self._sources.instance
        if record is None or instance is None:
            return False
        found = from_record(record)
        instance.add_dynamic_partitions(finding.analysis, [found.job_key])
        figure = stored_figure(self._sources.results, found)
        instance.report_runless_asset_event(
            materialization(
                found,
                analysis=self._sources.entries[finding.analysis].analysis,
                results=self._sources.results,
                figure=figure,
                reused=True,
            )
        )
        seen = by_looking(self._sources.results, record, found)
        judge_reused(instance, self._sources.entries[finding.analysis], found, seen)
        return True

    def _add_partition(self, finding: Finding) -> bool:
        if self._sources.instance is None:
            return False
        self._sources.instance.add_dynamic_partitions(finding.analysis, [finding.job_key])
        return True

    def _make_searchable(self, finding: Finding) -> bool:
        """Add the search fields to a record."""
        record = self._sources.records.get(finding.result_id)
        if record is None:
            return False
        self._sources.records.make_searchable(record, search_fields(from_record(record)))
        return True
