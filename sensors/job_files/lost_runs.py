"""Runs whose process is gone although Dagster calls them started.

A run's process is watched by the code server that started it. When both end together, as when a machine is switched off,
nobody tells Dagster: the run stays *started* for ever, holds one of the few places for runs, and covers its jobs, so
that no other run is asked for. The ledger knows better: a run that is alive claims every new job in its range.
"""

import time
from datetime import timedelta

import dagster as dg

from domain.job.batches import covered
from domain.job.state import JobState
from engine.assets.runs import is_run_of, span_of
from engine.discovery.analyses import AnalysisEntry
from resources.ledger.ledger import Ledger
from sensors.limits import LIMITS


def end_lost_runs(
    instance: dg.DagsterInstance, entry: AnalysisEntry, ledger: Ledger, *, grace_s: float = LIMITS.grace_s
) -> list[str]:
    """Mark runs as failed that hold no lease although a job in their range has been new for long.

    To be done after expired leases were freed. Should a process be alive after all, nothing is lost: whatever two runs
    do at once, a job is claimed by one of them, and one record counts.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Where the runs are.
    entry : AnalysisEntry
        The analysis.
    ledger : Ledger
        Where leases and states are.
    grace_s : float
        How long a run may take to its first claim, and between two claims besides the delay of its retries (s).

    Returns
    -------
    list of str
        The runs that were ended.
    """
    name = entry.analysis.name
    silent_s = grace_s + entry.analysis.retry.in_run.longest_wait_s
    records = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    before = time.time() - silent_s
    started = [r.dagster_run for r in records if r.start_time is not None and r.start_time < before]
    mine = [run for run in started if is_run_of(run, name)]
    at_work = set(ledger.claims.runs_by_attempt().values()) if mine else set()
    silent = [run for run in mine if run.run_id not in at_work]
    if not silent:
        return []
    old = {"updated": {"$lt": ledger.now() - timedelta(seconds=silent_s)}}
    order, new = instance.get_dynamic_partitions(name), set(ledger.jobs.keys_in(name, JobState.NEW, match=old))
    lost = [run for run in silent if covered(order, [span_of(run)]) & new]
    for run in lost:
        instance.report_run_failed(
            run, "The run's process has ended: it holds no lease, and its new jobs are not processed."
        )
    return [run.run_id for run in lost]
