"""Dagster's event log in batches: what it tells is what Dagster's own class would tell."""

import threading
from contextlib import contextmanager

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.tags import PARTITION_NAME_TAG

from analysis_assets._events import report
from resources.event_log import SqliteEventLog

ASSET = dg.AssetKey(["analysis", "counted"])
OTHER = dg.AssetKey(["analysis", "other"])
SETTING = "DAGSTER_EVENT_BATCH_SIZE"


def made(number, *, run="run", asset=ASSET, when=100.0):
    """Return the event of a materialization."""
    tags = {"dagster/data_version": str(number)}
    told = dg.AssetMaterialization(asset, partition=f"key{number}", metadata={"number": number}, tags=tags)
    event = DagsterEvent(
        event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name="job",
        step_key="step",
        event_specific_data=StepMaterializationData(told),
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


def opened(cls, folder):
    """Return an instance whose event log is of a class."""
    folder.mkdir(exist_ok=True)
    config = {"home": str(folder)} if cls is SqliteEventLog else {"base_dir": str(folder / "history" / "runs")}
    storage = {"module": cls.__module__, "class": cls.__name__, "config": config}
    return dg.DagsterInstance.local_temp(str(folder), overrides={"event_log_storage": storage})


@pytest.fixture
def instance(tmp_path):
    with opened(SqliteEventLog, tmp_path) as found:
        yield found


def told(instance, *runs):
    """Return everything that is asked of an event log, as far as it does not depend on when it is asked."""
    log = instance.event_log_storage
    fetched = instance.fetch_materializations(ASSET, limit=100).records
    (asset,) = log.get_asset_records([ASSET])
    return {
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


def test_a_batch_tells_what_single_events_in_dagsters_own_class_tell(tmp_path, instance):
    events = [made(n, asset=OTHER if n % 3 == 2 else ASSET) for n in range(10)]
    instance.event_log_storage.store_event(made(50))
    instance.event_log_storage.store_event_batch(events)
    instance.event_log_storage.store_event_batch([made(n, run="next") for n in (3, 20)])
    with opened(SqliteEventLogStorage, tmp_path / "own") as own:
        for event in (made(50), *events, made(3, run="next"), made(20, run="next")):
            own.event_log_storage.store_event(event)
        assert told(instance, "run", "next") == told(own, "run", "next")


def test_events_of_several_runs_or_of_no_asset_are_stored_one_by_one(instance):
    words = EventLogEntry(error_info=None, level=20, user_message="hello", run_id="run", timestamp=1.0)
    log = instance.event_log_storage
    log.store_event_batch([made(1), made(2, run="next")])
    log.store_event_batch([made(3), words])
    assert [r.event_log_entry.dagster_event_type for r in log.get_records_for_run("run").records] == [
        DagsterEventType.ASSET_MATERIALIZATION,
        DagsterEventType.ASSET_MATERIALIZATION,
        None,
    ]
    assert log.get_materialized_partitions(ASSET) == {"key1", "key2", "key3"}


def test_a_batch_is_stored_in_few_transactions(instance, count_commits):
    log = instance.event_log_storage
    log.store_event_batch([made(0), made(1)])
    with count_commits(log) as commits:
        log.store_event_batch([made(n) for n in range(2, 202)])
    assert len(commits) == 2


@pytest.fixture
def count_commits():
    """Count the transactions of an event log's kept connections."""

    @contextmanager
    def counted(log):
        commits, engines = [], [kept.engine for kept in log._kept.values()]

        def listen(_connection):
            commits.append(1)

        for engine in engines:
            db.event.listen(engine, "commit", listen)
        yield commits
        for engine in engines:
            db.event.remove(engine, "commit", listen)

    return counted


def test_another_process_reads_and_writes_the_same_files(tmp_path, instance):
    instance.event_log_storage.store_event_batch([made(1), made(2)])
    with opened(SqliteEventLogStorage, tmp_path) as other:
        other.event_log_storage.store_event(made(3))
    assert told(instance, "run")["partitions"] == {"key1", "key2", "key3"}


def test_several_threads_may_write_at_once(instance):
    batches = [[made(100 * b + n, run=f"run{b}") for n in range(20)] for b in range(6)]
    threads = [threading.Thread(target=instance.event_log_storage.store_event_batch, args=[b]) for b in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(instance.event_log_storage.get_materialized_partitions(ASSET)) == 120


def test_few_connections_are_kept_and_none_after_the_end(tmp_path):
    with opened(SqliteEventLog, tmp_path) as instance:
        log = instance.event_log_storage
        for number in range(10):
            log.store_event(made(number, run=f"run{number}"))
        assert len(log._kept) == 4
        assert "index" in log._kept
        assert len(log.get_records_for_run("run0").records) == 1
        log.wipe()
        assert log.get_materialized_partitions(ASSET) == set()
        log.store_event(made(1))
        assert log.get_materialized_partitions(ASSET) == {"key1"}
    assert not log._kept


def test_a_run_writes_the_materializations_of_many_partitions_together(instance, monkeypatch, count_commits):
    monkeypatch.setenv(SETTING, "500")
    keys = [f"key{n}" for n in range(30)]
    instance.add_dynamic_partitions("counted", keys)
    commits = []

    @dg.asset(key=ASSET, partitions_def=dg.DynamicPartitionsDefinition(name="counted"), output_required=False)
    def compute(context: dg.AssetExecutionContext):
        if context.has_partition_key:
            with count_commits(instance.event_log_storage) as found:
                report(context, [dg.AssetMaterialization(ASSET, partition=key) for key in keys])
                report(context, [dg.AssetObservation(ASSET, partition=key) for key in keys])
                report(context, [])
            commits.append(len(found))
        yield from ()

    result = dg.materialize([compute], instance=instance, partition_key="key0", tags={PARTITION_NAME_TAG: "key0"})
    assert result.success
    assert commits[0] <= 6
    assert instance.event_log_storage.get_materialized_partitions(ASSET) == set(keys)
    seen = [e for e in result.all_events if e.is_step_materialization]
    assert len(seen) == len(keys), "whoever runs the asset in process sees them too"


def test_files_that_were_removed_below_it_are_made_anew(tmp_path, instance):
    log = instance.event_log_storage
    log.store_event_batch([made(1), made(2)])
    for file in (tmp_path / "history" / "runs").iterdir():
        file.unlink()
    log.store_event_batch([made(3), made(4)])
    assert log.get_materialized_partitions(ASSET) == {"key3", "key4"}
    assert len(log.get_records_for_run("run").records) == 2
