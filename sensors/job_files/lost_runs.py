"""Ends lost runs: their process is gone, but Dagster shows them as started.

The code server that started a run's process watches it. When both end together, as at a power failure, Dagster gets no
event: the run stays *started*, occupies one of the few slots for runs, and covers its jobs, so that no other run is
requested. The ledger shows it: a live run claims every new job in its range.
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
    """Mark runs as failed that hold no lease although a job in their range has been new for longer than the grace period.

    Call it after expired leases were released. Should a process be alive after all, no result is lost: only one of two
    concurrent runs claims a job, and only one record is current.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Instance whose runs are read and changed.
    entry : AnalysisEntry
        The analysis, with its current code version.
    ledger : Ledger
        Ledger with the leases and states of the jobs.
    grace_s : float
        Maximum time before a run's first claim, and between two claims apart from retry delays (s).

    Returns
    -------
    list of str
        Ids of the runs that were marked as failed.
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
