"""Dagster's event log in batches stores what Dagster's own class stores.

Our event log and the stock one store the same events, and every row of every table is compared. pyproject.toml supports
one minor version of Dagster, the one that is installed here. To support another one: widen the range in pyproject.toml, add its
minor version to `COMPARED`, and run this file in an environment of each version (a second file in requirements/, and a
second job in .github/workflows/ci.yml), because two versions cannot be installed side by side.
"""

import re
import threading
import tomllib
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster_postgres import PostgresEventLogStorage
from packaging.specifiers import SpecifierSet

from benchmarks.postgres import new_database
from resources.dagster_storage.batch_events import report
from resources.dagster_storage.check_targets import targets_of_run
from resources.dagster_storage.event_log import SqliteEventLog
from resources.dagster_storage.event_log_postgres import PostgresEventLog
from tests.event_logs import (
    ASSET,
    OTHER,
    answers_of,
    differences,
    made,
    observed,
    planned,
    rows,
    verdict,
    verdict_planned,
)
from tests.postgres import postgres_server  # noqa: F401  a fixture

ROOT = Path(__file__).parents[3]
SETTING = "DAGSTER_EVENT_BATCH_SIZE"
PREVIEW = pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")
AFTER_PLANNED_CHECKS = ("asset_keys", "asset_check_executions")
COMPARED = {"1.13"}
STORED_BY_RUNS = {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_OBSERVATION,
    DagsterEventType.ASSET_CHECK_EVALUATION,
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.RUN_START,
    None,  # a message
}


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
    [verdict_planned(n, name=f"check{n % 2}", run="last") for n in (3, 4)],
    [
        made(3, run="last"),
        observed(21, run="last"),
        made(4, run="last", asset=OTHER),
        observed(22, run="last", asset=OTHER),
    ],
    [made(31, run="last"), observed(32, run="last"), made(33, run="last"), planned(34, run="last")],
    [verdict(n, name=f"check{n % 2}", run="last") for n in (3, 4)],
    [
        made(41, run="last"),
        observed(42, run="last"),
        made(43, run="last"),
    ],  # the asset's latest time is that of the last
]


def store(ours, own):
    """Store the same in batches in one event log, and one by one in the other."""
    for log in (ours, own):
        log.store_event(made(50))
    for batch in BATCHES:
        ours.store_event_batch(batch)
        for event in batch:
            own.store_event(event)


def test_a_batch_stores_what_single_events_in_dagsters_own_class_store(tmp_path, instance):
    with opened(SqliteEventLogStorage, tmp_path / "own") as own:
        store(instance.event_log_storage, own.event_log_storage)
        assert answers_of(instance, "run", "next", "last") == answers_of(own, "run", "next", "last")
    compared(tmp_path, tmp_path / "own")


def compared(ours, own, **options):
    """Assert that two event logs on SQLite have the same databases; returns the tables of the index."""
    ours, own = ours / "history" / "runs", own / "history" / "runs"
    names = {file.name for file in ours.glob("*.db")}
    assert names == {file.name for file in own.glob("*.db")}
    for name in names:
        assert (
            differences(rows(f"sqlite:///{ours / name}", **options), rows(f"sqlite:///{own / name}", **options)) == {}
        )
    return rows(f"sqlite:///{ours / 'index.db'}")


def executed(instance):
    """Execute a run that stores every kind of event that a run of ours stores, and fails; returns its id."""
    keys = [f"key{n}" for n in range(6)]
    instance.add_dynamic_partitions("counted", keys)
    partitions = dg.DynamicPartitionsDefinition(name="counted")

    @dg.asset(
        key=ASSET,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(100),
        output_required=False,
        check_specs=[dg.AssetCheckSpec("check0", asset=ASSET, partitions_def=partitions)],
    )
    def compute(context: dg.AssetExecutionContext):
        context.log.info("a message")
        done = [dg.AssetMaterialization(ASSET, partition=key, tags={"dagster/data_version": key}) for key in keys]
        report(context, [done[0], dg.AssetObservation(ASSET, partition="key5"), *done[1:5]])
        targets = targets_of_run(context.instance, ASSET, keys, run_id=context.run.run_id)
        report(
            context,
            [
                dg.AssetCheckEvaluation(
                    asset_key=ASSET,
                    check_name="check0",
                    passed=key != "key1",
                    partition=key,
                    target_materialization_data=target,
                )
                for key, target in targets.items()
            ],
        )
        raise dg.Failure(description="one job failed")
        yield

    span = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    return dg.materialize([compute], instance=instance, tags=span, raise_on_error=False).run_id


def replayed(run_id, ours, own):
    """Store the events of a run of ours, one by one and in their order, in the stock event log."""
    own.add_dynamic_partitions("counted", ours.get_dynamic_partitions("counted"))
    stored = [record.event_log_entry for record in ours.event_log_storage.get_records_for_run(run_id).records]
    for entry in stored:
        own.event_log_storage.store_event(entry)
    return {entry.dagster_event_type for entry in stored}


@PREVIEW
def test_a_run_stores_what_dagsters_own_class_stores(tmp_path, instance, monkeypatch):
    monkeypatch.setenv(SETTING, "500")
    run_id = executed(instance)
    with opened(SqliteEventLogStorage, tmp_path / "own") as own:
        assert replayed(run_id, instance, own) >= STORED_BY_RUNS
    index = compared(tmp_path, tmp_path / "own", without_ids=AFTER_PLANNED_CHECKS)
    assert {"event_logs", "asset_keys", "asset_event_tags", "asset_check_executions"} <= {t for t in index if index[t]}


def test_every_supported_minor_version_of_dagster_is_compared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (supported,) = [line for line in project["dependencies"] if re.match(r"dagster[<>=]", line)]
    minors = {f"1.{minor}" for minor in range(100) if f"1.{minor}.0" in SpecifierSet(supported.removeprefix("dagster"))}
    assert minors == COMPARED
    assert ".".join(version("dagster").split(".")[:2]) in COMPARED


def in_postgres(cls, folder, server):
    """Return an instance whose event log is of a class, in a new database."""
    folder.mkdir()
    storage = {"module": cls.__module__, "class": cls.__name__, "config": {"postgres_url": new_database(server)}}
    return dg.DagsterInstance.local_temp(str(folder), overrides={"event_log_storage": storage})


def test_on_postgresql_too(tmp_path, postgres_server):  # noqa: F811
    with (
        in_postgres(PostgresEventLog, tmp_path / "ours", postgres_server) as ours,
        in_postgres(PostgresEventLogStorage, tmp_path / "own", postgres_server) as own,
    ):
        store(ours.event_log_storage, own.event_log_storage)
        assert answers_of(ours, "run", "next", "last") == answers_of(own, "run", "next", "last")
        assert differences(rows(address_of(ours)), rows(address_of(own))) == {}


def address_of(instance):
    """Return the address of the database of an event log on PostgreSQL."""
    return instance.event_log_storage.postgres_url


@PREVIEW
def test_a_run_on_postgresql_stores_what_dagsters_own_class_stores(tmp_path, postgres_server, monkeypatch):  # noqa: F811
    monkeypatch.setenv(SETTING, "500")
    with (
        in_postgres(PostgresEventLog, tmp_path / "ours", postgres_server) as ours,
        in_postgres(PostgresEventLogStorage, tmp_path / "own", postgres_server) as own,
    ):
        run_id = executed(ours)
        assert replayed(run_id, ours, own) >= STORED_BY_RUNS
        stored = [rows(address_of(log), without_ids=AFTER_PLANNED_CHECKS) for log in (ours, own)]
        assert differences(*stored) == {}


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
    assert answers_of(instance, "run")["partitions"] == {"key1", "key2", "key3"}


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


def test_files_that_were_removed_below_it_are_made_again(tmp_path, instance):
    log = instance.event_log_storage
    log.store_event_batch([made(1), made(2)])
    for file in (tmp_path / "history" / "runs").iterdir():
        file.unlink()
    log.store_event_batch([made(3), made(4)])
    assert log.get_materialized_partitions(ASSET) == {"key3", "key4"}
    assert len(log.get_records_for_run("run").records) == 2
