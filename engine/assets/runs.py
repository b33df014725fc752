"""Queries the Dagster runs of an analysis: whether they have ended, and which partitions they cover."""

import dagster as dg

from engine.assets.materialization import asset_key_of

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


def limited(hours: int) -> dict[str, str]:
    """Return the tags of a Dagster job whose runs Dagster's run monitoring ends after some hours.

    It ends them wherever their process is. For a run of a host that is gone this is the only end: no other host may judge its
    process, and unlike a run of an analysis it holds no leases.
    """
    return {"dagster/max_runtime": str(hours * 3600)}


def job_name_of(name: str) -> str:
    """Return the name of the Dagster job whose runs take batches of an analysis."""
    return f"{name}_batch"


def span_of(run: dg.DagsterRun) -> tuple[str, str]:
    """Return the first and last partition of a run; empty texts for a run without partitions."""
    single = run.tags.get(_PARTITION, "")
    return run.tags.get(RANGE_START, single), run.tags.get(RANGE_END, single)


def is_run_of(run: dg.DagsterRun, name: str) -> bool:
    """Return whether a run computes jobs of an analysis, launched by its sensor or by a user."""
    return run.job_name == job_name_of(name) or asset_key_of(name) in (run.asset_selection or set())


def unfinished_spans(instance: dg.DagsterInstance, name: str) -> list[tuple[str, str]]:
    """Return first and last partition of every unfinished run of an analysis."""
    return [span_of(run) for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)) if is_run_of(run, name)]


def has_ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Return whether a run has ended; False for a run that Dagster does not know, whose lease expires."""
    run = instance.get_run_by_id(run_id)
    return run is not None and run.is_finished


def end_of_run(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """Return how Dagster has ended a run, for the process that executes it.

    Returns
    -------
    str or None
        ``FAILURE``, ``CANCELED``, ``SUCCESS`` or ``DELETED``. None while Dagster counts the run, and if its storage cannot be
        read: an unknown state does not end a live run.
    """
    try:
        run = instance.get_run_by_id(run_id)
    except Exception:  # noqa: BLE001  each kind of storage raises errors of its own
        return None
    if run is None:
        return "DELETED"
    return run.status.value if run.is_finished else None
