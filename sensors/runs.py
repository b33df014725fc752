"""The runs of an analysis: which jobs they cover, and what it means when a person terminates one.

A run that a person terminates in Dagster's UI is a wish: what it has not finished is cancelled, not launched again.
Dagster tells such runs apart: their status is CANCELED, whether they were at work or still queued. A run that dies, or is
shut down with the platform, ends as FAILURE, and its jobs are asked for again.
"""

import dagster as dg

from analysis_assets._materialization import asset_key_of
from domain.batches import covered
from domain.job_state import JobState
from resources.ledger import Ledger

HANDLED_TAG = "analysis_assets/cancelled_jobs"
_RUNS_PER_TICK = 50
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
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


def span_of(run: dg.DagsterRun) -> tuple[str, str]:
    """Return the first and the last partition of a run; empty for a run without partitions."""
    single = run.tags.get(_PARTITION, "")
    return run.tags.get(RANGE_START, single), run.tags.get(RANGE_END, single)


def is_run_of(run: dg.DagsterRun, name: str) -> bool:
    """Tell whether a run computes jobs of an analysis: launched by its sensor, or by a person."""
    return run.job_name == job_name_of(name) or asset_key_of(name) in (run.asset_selection or set())


def unfinished_spans(instance: dg.DagsterInstance, name: str) -> list[tuple[str, str]]:
    """Return first and last partition of every run of an analysis that has not ended."""
    return [span_of(run) for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)) if is_run_of(run, name)]


def has_ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Tell whether a run has ended; of a run that this Dagster does not know only the lease tells."""
    run = instance.get_run_by_id(run_id)
    return run is not None and run.is_finished


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
        states = ledger.summaries(name, keys)
        waiting = [key for key in keys if key in states and states[key][0] is JobState.NEW]
        cancelled += ledger.cancel(
            name,
            waiting,
            who="a person",
            reason=f"run {run.run_id} was terminated in Dagster",
            code_version=code_version,
        )
        instance.add_run_tags(run.run_id, {HANDLED_TAG: str(len(waiting))})
    return cancelled
