"""Compares the ledger with records and Dagster: all jobs and partitions of an analysis."""

from collections.abc import Sequence

import dagster as dg

from audit.findings import AuditReport, Finding
from audit.sources import AT_ONCE, OnFinding, Sources
from domain.batching import in_batches
from domain.job.state import JobState
from engine.assets.runs import has_ended, is_run_of
from resources.ledger.jobs import JobBrief

_WITH_RESULT = (JobState.DONE, JobState.ARCHIVED)


class JobAudit:
    """Compares the jobs of one analysis with its records, runs and partitions.

    Parameters
    ----------
    sources : Sources
        Ledger, records and Dagster instance; only read.
    name : str
        Name of the analysis; it must be in `sources.entries`.
    on_finding : callable
        Called with each finding.
    """

    def __init__(self, sources: Sources, name: str, on_finding: OnFinding) -> None:
        self._sources, self._name, self._on_finding = sources, name, on_finding
        self._now = sources.ledger.now()
        self._ended = self._ended_runs()
        self._live: set[str] = set()

    def run(self, report: AuditReport, *, with_record: set[str], materialized: set[str] | None) -> None:
        """Compare every job.

        Parameters
        ----------
        report : AuditReport
            Its `looked_at` counts jobs and partitions.
        with_record : set of str
            Keys of the jobs that have a record, of any code.
        materialized : set of str or None
            Partitions that Dagster shows as materialized; None: unknown.
        """
        instance = self._sources.instance
        partitions = set(instance.get_dynamic_partitions(self._name)) if instance is not None else None
        report.looked_at["partitions"] += len(partitions or ())
        without_job, unexplained = set(partitions or ()), set(materialized or ()) - with_record
        for batch in in_batches(self._sources.ledger.jobs.briefs(self._name), AT_ONCE):
            report.looked_at["jobs"] += len(batch)
            self._compare_with_records(batch)
            for job in batch:
                without_job.discard(job.job_key)
                if (
                    job.state not in _WITH_RESULT
                ):  # failed, invalidated, or computed again: the state of the job shows it
                    unexplained.discard(job.job_key)
                is_retired = job.state is JobState.ARCHIVED  # archived: without a partition on purpose
                if partitions is not None and job.job_key not in partitions and not is_retired:
                    self._find("job_without_partition", f"job {job.job_key}", job.job_key)
                self._look_at_claim(job)
        for key in sorted(without_job):
            self._find("partition_without_job", f"partition {key}", key)
        for key in sorted(unexplained):
            self._find("materialization_without_record", f"partition {key}", key)
        self._look_for_stuck_runs()

    def _find(self, kind: str, what: str, job_key: str = "", result_id: str = "") -> None:
        self._on_finding(Finding(kind, what, self._name, job_key, result_id))

    def _compare_with_records(self, batch: Sequence[JobBrief]) -> None:
        """Report jobs that are done but have no record."""
        done = {job.result_id: job.job_key for job in batch if job.state in _WITH_RESULT and job.result_id}
        for result in sorted(set(done) - self._sources.records.existing(done)) if done else ():
            what = f"job {done[result]} is done, or archived, but there is no record {result}"
            self._find("done_without_record", what, done[result], result)

    def _look_at_claim(self, job: JobBrief) -> None:
        """Report a claim whose lease has expired or whose run has ended."""
        if job.state is not JobState.RUNNING or job.lease_until is None or job.run_id is None:
            return
        if job.lease_until < self._now - self._sources.ages.grace:
            ended = f"{job.lease_until:%Y-%m-%d %H:%M:%S}"
            self._find("expired_lease", f"job {job.job_key}: the lease of run {job.run_id} ended {ended}", job.job_key)
        elif job.run_id in self._ended:
            self._find("dead_run", f"job {job.job_key}: run {job.run_id} has ended", job.job_key)
        else:
            self._live.add(job.run_id)

    def _ended_runs(self) -> set[str]:
        """Return the runs that hold leases but have ended according to Dagster."""
        instance = self._sources.instance
        if instance is None:
            return set()
        return {run_id for run_id in self._sources.ledger.claims.run_ids(self._name) if has_ended(instance, run_id)}

    def _look_for_stuck_runs(self) -> None:
        """Report runs that have been running for long and hold no live lease."""
        instance = self._sources.instance
        started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        begun_before = (self._now - self._sources.ages.stuck).timestamp()
        for record in instance.get_run_records(started) if instance is not None else ():
            run, began = record.dagster_run, record.start_time or self._now.timestamp()
            if is_run_of(run, self._name) and run.run_id not in self._live and began < begun_before:
                self._find(
                    "stuck_run", f"run {run.run_id} has been running for more than an hour and holds no live lease"
                )
