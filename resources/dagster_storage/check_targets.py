"""The materialization that a check evaluation refers to.

Dagster shows an evaluation on its partition only if it names the partition's latest materialization.
"""

import time
from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.events import DagsterEventType

Target = AssetCheckEvaluationTargetMaterializationData


def targets_of_run(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, keys: Iterable[str], *, run_id: str
) -> dict[str, Target]:
    """Return the materializations that a run has just stored, by partition; one query.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        The instance that stores the run's events.
    asset_key : dagster.AssetKey
        Key of the partitioned asset.
    keys : iterable of str
        Partitions whose latest materialization is the run's; those without one are left out.
    run_id : str
        Id of the run, which each target contains.
    """
    now = time.time()
    return {
        key: Target(storage_id=number, run_id=run_id, timestamp=now)
        for key, number in _latest(instance, asset_key, keys).items()
    }


def latest_targets(instance: dg.DagsterInstance, asset_key: dg.AssetKey, keys: Iterable[str]) -> dict[str, Target]:
    """Return the latest materialization of each partition that has one, from any run; two queries.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        The instance that stores the events.
    asset_key : dagster.AssetKey
        Key of the partitioned asset.
    keys : iterable of str
        Partitions; those without a materialization are left out.
    """
    numbers = sorted(_latest(instance, asset_key, keys).values())
    if not numbers:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=asset_key, storage_ids=numbers)
    found = instance.fetch_materializations(wanted, limit=len(numbers)).records
    return {
        str(one.partition_key): Target(storage_id=one.storage_id, run_id=one.run_id, timestamp=one.timestamp)
        for one in found
    }


def _latest(instance: dg.DagsterInstance, asset_key: dg.AssetKey, keys: Iterable[str]) -> dict[str, int]:
    """Return the storage id of the latest materialization of each partition."""
    return dict(
        instance.event_log_storage.get_latest_storage_id_by_partition(
            asset_key, DagsterEventType.ASSET_MATERIALIZATION, set(keys)
        )
    )
