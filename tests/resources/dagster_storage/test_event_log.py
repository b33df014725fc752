"""Dagster's event log in batches: what it tells is what Dagster's own class would tell."""

import threading
from contextlib import contextmanager

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster_postgres import PostgresEventLogStorage

from benchmarks.postgres import new_database
from resources.dagster_storage.batch_events import report
from resources.dagster_storage.event_log import SqliteEventLog
from resources.dagster_storage.event_log_postgres import PostgresEventLog
from tests.event_logs import ASSET, OTHER, made, planned, told, verdict
from tests.postgres import postgres_server  # noqa: F401  a fixture

SETTING = "DAGSTER_EVENT_BATCH_SIZE"


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


BATCHES = [
    [verdict(n, name=f"check{n % 2}") for n in range(6)],
    [made(60), verdict(60), verdict(60, passed=False)],  # twice in one batch: the last one counts
    [verdict(60, passed=True), verdict(61)],
    [planned(n, asset=OTHER if n % 3 == 2 else ASSET) for n in range(10)],
    [made(n, asset=OTHER if n % 3 == 2 else ASSET) for n in range(10)],
    [made(n, run="next") for n in (3, 20)],
    [planned(n, run="last") for n in (3, 21)],
]


def store(ours, own):
    """Store the same in batches in one event log, and one by one in the other."""
    for log in (ours, own):
        log.store_event(made(50))
    for batch in BATCHES:
        ours.store_event_batch(batch)
        for event in batch:
            own.store_event(event)


def test_a_batch_tells_what_single_events_in_dagsters_own_class_tell(tmp_path, instance):
    with opened(SqliteEventLogStorage, tmp_path / "own") as own:
        store(instance.event_log_storage, own.event_log_storage)
        assert told(instance, "run", "next", "last") == told(own, "run", "next", "last")


def in_postgres(cls, folder, server):
    """Return an instance whose event log is of a class, in a database of its own."""
    folder.mkdir()
    storage = {"module": cls.__module__, "class": cls.__name__, "config": {"postgres_url": new_database(server)}}
    return dg.DagsterInstance.local_temp(str(folder), overrides={"event_log_storage": storage})


def test_on_postgresql_too(tmp_path, postgres_server):  # noqa: F811
    with (
        in_postgres(PostgresEventLog, tmp_path / "ours", postgres_server) as ours,
        in_postgres(PostgresEventLogStorage, tmp_path / "own", postgres_server) as own,
    ):
        store(ours.event_log_storage, own.event_log_storage)
        assert told(ours, "run", "next", "last") == told(own, "run", "next", "last")


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
        commits, engines = [], list(log.engines.values())

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
        assert len(log.engines) == 4
        assert "index" in log.engines
        assert len(log.get_records_for_run("run0").records) == 1
        log.wipe()
        assert log.get_materialized_partitions(ASSET) == set()
        log.store_event(made(1))
        assert log.get_materialized_partitions(ASSET) == {"key1"}
    assert not log.engines


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
