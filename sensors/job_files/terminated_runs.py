"""Cancels the unfinished jobs of runs that an operator terminated in Dagster's UI, instead of launching them again.

The status of such runs is CANCELED, whether they were running or queued. A run that crashes, or is shut down with the
platform, ends as FAILURE, and its jobs are requeued.
"""

import dagster as dg

from domain.job.batches import covered
from domain.job.state import JobState
from engine.assets.runs import is_run_of, span_of
from resources.ledger.ledger import Ledger

HANDLED_TAG = "analysis_assets/cancelled_jobs"
_RUNS_PER_TICK = 50


def cancel_terminated(instance: dg.DagsterInstance, name: str, ledger: Ledger, *, code_version: str) -> int:
    """Cancel the unfinished jobs of terminated runs, once for each run.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Instance whose runs are read and changed.
    name : str
        Name of the analysis.
    ledger : Ledger
        Ledger whose jobs are cancelled.
    code_version : str
        Current code version of the analysis.

    Returns
    -------
    int
        Number of cancelled jobs. The run is tagged last, so that the next tick repeats an interrupted call.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.CANCELED]), limit=_RUNS_PER_TICK)
    mine = [r for r in runs if HANDLED_TAG not in r.tags and is_run_of(r, name)]
    if not mine:
        return 0
    order, cancelled = instance.get_dynamic_partitions(name), 0
    for run in mine:
        keys = covered(order, [span_of(run)])
        states = ledger.jobs.summaries(name, keys)
        waiting = [key for key in keys if key in states and states[key][0] is JobState.NEW]
        cancelled += ledger.requests.cancel(
            name,
            waiting,
            who="a person",
            reason=f"run {run.run_id} was terminated in Dagster",
            code_version=code_version,
        )
        instance.add_run_tags(run.run_id, {HANDLED_TAG: str(len(waiting))})
    return cancelled
