"""Which materialization a check's verdict is about: Dagster shows a verdict on its partition only if it names the latest."""

import time
from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.events import DagsterEventType

from engine.assets.materialization import asset_key_of

Target = AssetCheckEvaluationTargetMaterializationData


def targets_of_run(instance: dg.DagsterInstance, name: str, keys: Iterable[str], *, run_id: str) -> dict[str, Target]:
    """Return what a run has just materialized, by partition; one query.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Where that was told.
    name : str
        The analysis.
    keys : iterable of str
        The partitions.
    run_id : str
        The run.
    """
    now = time.time()
    return {
        key: Target(storage_id=number, run_id=run_id, timestamp=now)
        for key, number in _latest(instance, name, keys).items()
    }


def latest_targets(instance: dg.DagsterInstance, name: str, keys: Iterable[str]) -> dict[str, Target]:
    """Return the latest materialization of each partition that has one, whoever told it; as `targets_of_run`."""
    numbers = sorted(_latest(instance, name, keys).values())
    if not numbers:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=asset_key_of(name), storage_ids=numbers)
    found = instance.fetch_materializations(wanted, limit=len(numbers)).records
    return {
        str(one.partition_key): Target(storage_id=one.storage_id, run_id=one.run_id, timestamp=one.timestamp)
        for one in found
    }


def _latest(instance: dg.DagsterInstance, name: str, keys: Iterable[str]) -> dict[str, int]:
    """Return the number of the latest materialization of each partition."""
    return dict(
        instance.event_log_storage.get_latest_storage_id_by_partition(
            asset_key_of(name), DagsterEventType.ASSET_MATERIALIZATION, set(keys)
        )
    )
