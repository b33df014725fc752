"""Events of runs of batches, all queries of an event log, and every row of its tables."""

import dagster as dg
import sqlalchemy as db
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import (
    AssetMaterializationPlannedData,
    AssetObservationData,
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from dagster._core.events.log import EventLogEntry

ASSET = dg.AssetKey(["analysis", "counted"])
OTHER = dg.AssetKey(["analysis", "other"])


def made(number, *, run="run", asset=ASSET, when=100.0):
    """Return the event of a materialization."""
    tags = {"dagster/data_version": str(number)}
    reported = dg.AssetMaterialization(asset, partition=f"key{number}", metadata={"number": number}, tags=tags)
    event = DagsterEvent(
        event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name="job",
        step_key="step",
        event_specific_data=StepMaterializationData(reported),
        message=f"event {number}",
    )
    return EventLogEntry(
        error_info=None,
        user_message="",
        level="debug",
        run_id=run,
        timestamp=when + number,
        step_key="step",
        job_name="job",
        dagster_event=event,
    )


def planned(number, *, run="run", asset=ASSET):
    """Return the event of a planned materialization."""
    entry = made(number, run=run, asset=asset)
    event = entry.dagster_event._replace(
        event_type_value=DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
        event_specific_data=AssetMaterializationPlannedData(asset, partition=f"key{number}"),
    )
    return entry._replace(dagster_event=event)


def observed(number, *, run="run", asset=ASSET):
    """Return the event of an observation."""
    entry = made(number, run=run, asset=asset)
    reported = dg.AssetObservation(asset, partition=f"key{number}", tags={"dagster/data_version": f"seen {number}"})
    event = entry.dagster_event._replace(
        event_type_value=DagsterEventType.ASSET_OBSERVATION.value, event_specific_data=AssetObservationData(reported)
    )
    return entry._replace(dagster_event=event)


def verdict_planned(number, *, name="check0", run="run", asset=ASSET):
    """Return the event of a planned check."""
    entry = made(number, run=run, asset=asset)
    said = AssetCheckEvaluationPlanned(asset_key=asset, check_name=name)
    event = entry.dagster_event._replace(
        event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value, event_specific_data=said
    )
    return entry._replace(dagster_event=event)


def verdict(number, *, name="check0", passed=True, run="run", asset=ASSET):
    """Return the event of a check's verdict."""
    entry = made(number, run=run, asset=asset)
    said = dg.AssetCheckEvaluation(asset_key=asset, check_name=name, passed=passed, partition=f"key{number}")
    event = entry.dagster_event._replace(
        event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION.value, event_specific_data=said
    )
    return entry._replace(dagster_event=event)


def verdicts(log, name):
    """Return what is known of a check on each partition."""
    found = log.get_asset_check_execution_history(dg.AssetCheckKey(ASSET, name), limit=100)
    return [(r.run_id, r.status, r.partition, getattr(r.evaluation, "passed", None)) for r in found]


def answers_of(instance, *runs):
    """Return the results of all queries of an event log that do not depend on the time."""
    log = instance.event_log_storage
    fetched = instance.fetch_materializations(ASSET, limit=100).records
    (asset,) = log.get_asset_records([ASSET])
    return {
        "checks": [verdicts(log, name) for name in ("check0", "check1")],
        "of runs": [[r.event_log_entry.message for r in log.get_records_for_run(run).records] for run in runs],
        "of the asset": [(r.storage_id, r.partition_key, r.asset_materialization.metadata) for r in fetched],
        "partitions": log.get_materialized_partitions(ASSET),
        "latest": log.get_latest_storage_id_by_partition(ASSET, DagsterEventType.ASSET_MATERIALIZATION),
        "tags": log.get_latest_tags_by_partition(
            ASSET, DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
        ),
        "last": (asset.asset_entry.last_materialization.dagster_event.partition, asset.asset_entry.last_run_id),
        "last id": asset.asset_entry.last_materialization_storage_id,
    }


_OF_THE_CLOCK = {"create_timestamp", "update_timestamp", "migration_completed"}


def rows(address, *, without_ids=("asset_keys",)):
    """Return every row of every table of a database, by table, without times of the clock.

    Parameters
    ----------
    address : str
        The database, as SQLAlchemy takes it.
    without_ids : tuple of str
        Tables whose ids do not depend on the events alone: PostgreSQL counts an id of an asset also where it finds the
        asset stored, and Dagster stores the planned checks of a range in the order of a Python set.
    """
    engine, tables = db.create_engine(address), db.MetaData()
    tables.reflect(engine)
    found = {}
    with engine.connect() as connection:
        for name, table in tables.tables.items():
            left_out = _OF_THE_CLOCK | ({"id"} if name in without_ids else set())
            columns = [column for column in table.columns if column.name not in left_out]
            found[name] = sorted((tuple(row) for row in connection.execute(db.select(*columns))), key=repr)
    engine.dispose()
    return found


def differences(ours, own):
    """Return the rows that only one of two databases has, by table."""
    assert ours.keys() == own.keys()
    return {
        name: {
            "ours": [row for row in ours[name] if row not in own[name]],
            "own": [r for r in own[name] if r not in ours[name]],
        }
        for name in ours
        if ours[name] != own[name]
    }
