"""What it means when a person terminates a run in Dagster's UI: what it has not finished is cancelled, not launched again.

Dagster tells such runs apart: their status is CANCELED, whether they were at work or still queued. A run that dies, or is
shut down with the platform, ends as FAILURE, and its jobs are asked for again.
"""

import dagster as dg

from domain.job.batches import covered
from domain.job.state import JobState
from engine.assets.runs import is_run_of, span_of
from resources.ledger.ledger import Ledger

HANDLED_TAG = "analysis_assets/cancelled_jobs"
_RUNS_PER_TICK = 50


def cancel_terminated(instance: dg.DagsterInstance, name: str, ledger: Ledger, *, code_version: str) -> int:
    """Cancel the unfinished jobs of runs that a person has terminated, once for each run.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Where the runs are.
    name : str
        The analysis.
    ledger : Ledger
        Where the jobs are.
    code_version : str
        The analysis's current code.

    Returns
    -------
    int
        How many jobs were cancelled. The run is tagged last: cut off before, the next tick does the same again.
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
