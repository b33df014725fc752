"""The runs of an analysis that have not ended, and those of them whose process is gone.

A run's process is watched by the code server that started it. When both end together, as when a machine is switched off,
nobody tells Dagster: the run stays *started* for ever, holds one of the few places for runs, and covers its jobs, so
that no other run is asked for. The ledger knows better: a run that is alive claims every new job in its range.
"""

import time
from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from analysis_assets._catalog import CatalogEntry
from analysis_assets._materialization import asset_key_of
from domain.batches import covered
from domain.job_state import JobState
from resources.ledger import LEASE_S, Ledger

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
GRACE_S = 2 * LEASE_S
"""How long a run may take to its first claim, and between two claims besides the delay of its retries (s)."""

_PARTITION = "dagster/partition"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def job_name_of(name: str) -> str:
    """Return the name of the Dagster job whose runs take batches of an analysis."""
    return f"{name}_batch"


def unfinished_spans(instance: dg.DagsterInstance, name: str) -> list[tuple[str, str]]:
    """Return first and last partition of every run of an analysis that has not ended."""
    return [_span(record.dagster_run) for record in _records(instance, name, UNFINISHED)]


def end_lost_runs(instance: dg.DagsterInstance, entry: CatalogEntry, ledger: Ledger) -> list[str]:
    """Mark runs as failed that hold no lease although a job in their range has been new for long.

    To be done after expired leases were freed. Should a process be alive after all, nothing is lost: whatever two runs
    do at once, a job is claimed by one of them, and one record counts.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Where the runs are.
    entry : CatalogEntry
        The analysis.
    ledger : Ledger
        Where leases and states are.

    Returns
    -------
    list of str
        The runs that were ended.
    """
    name, retry = entry.analysis.name, entry.analysis.retry
    grace_s = GRACE_S + retry.delay_s * retry.backoff**retry.max_attempts
    records = _records(instance, name, [dg.DagsterRunStatus.STARTED])
    started = [r.dagster_run for r in records if r.start_time is not None and r.start_time < time.time() - grace_s]
    at_work = ledger.runs_with_leases([run.run_id for run in started]) if started else set()
    silent = [run for run in started if run.run_id not in at_work]
    if not silent:
        return []
    old = {"$lt": ledger.mongo.now() - timedelta(seconds=grace_s)}
    order, new = instance.get_dynamic_partitions(name), set(ledger.keys_in(name, JobState.NEW, updated=old))
    lost = [run for run in silent if covered(order, [_span(run)]) & new]
    for run in lost:
        instance.report_run_failed(run, "Its process is gone: it holds no lease, and leaves new jobs of its own alone.")
    return [run.run_id for run in lost]


def _records(instance: dg.DagsterInstance, name: str, statuses: Sequence[dg.DagsterRunStatus]) -> list[dg.RunRecord]:
    """Return the runs of an analysis that are in some states."""
    return [
        record
        for record in instance.get_run_records(dg.RunsFilter(statuses=statuses))
        if record.dagster_run.job_name == job_name_of(name)
        or asset_key_of(name) in (record.dagster_run.asset_selection or set())
    ]


def _span(run: dg.DagsterRun) -> tuple[str, str]:
    """Return first and last partition of a run."""
    single = run.tags.get(_PARTITION, "")
    return run.tags.get(RANGE_START, single), run.tags.get(RANGE_END, single)
