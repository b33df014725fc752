"""Dagster's event log with fewer trips to the disk: most of what a batch of jobs costs in Dagster is these.

On SQLite, Dagster's own class opens a connection for each statement, and stores the events of a batch one by one, in two
or three transactions each. The one here keeps its connections, and stores a batch in two transactions: one for the run's
own database, one for the index over all runs. The files are the same, so either class can follow the other.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as db
from dagster._config import StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.events import BATCH_WRITABLE_EVENTS, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData, serialize_value
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

_KEPT = 4
_BATCHED = BATCH_WRITABLE_EVENTS - {DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED}
_VERDICT = DagsterEventType.ASSET_CHECK_EVALUATION


@dataclass(frozen=True)
class _Kept:
    """A connection, and the file that it was opened on."""

    engine: Engine
    file: int | None


class BatchedEventLog(SqlEventLogStorage):
    """What both event logs have in common, on SQLite and on PostgreSQL: the events of a batch are stored together."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in order: those of one run that concern assets together, any others as Dagster does."""
        if len({event.run_id for event in events}) == 1 and all(_can_batch(event) for event in events):
            self._store_together(events)
        else:
            super().store_event_batch(events)

    def _store_together(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run with their tags, and what the last ones say of their assets."""
        insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
        with self.index_transaction() as connection:
            ids = list(connection.execute(insert, [self._event_to_row(event) for event in events]).scalars())
            stored = list(zip(events, ids, strict=True))
            self._store_asset_event_tags(connection, events, ids)  # verdicts have none
            # An asset remembers its last event of each type alone.
            last = {(event.dagster_event_type, _asset(event)): (event, i) for event, i in stored if _asset(event)}
            # In the order of the events, because each one sets the asset's latest timestamp.
            for event, event_id in sorted(last.values(), key=lambda found: found[1]):
                self._store_asset_event(connection, event, event_id)
            told_before = self._store_verdicts(connection, stored)
        for event, event_id in told_before:
            self._update_asset_check_evaluation(event, event_id)

    def _store_verdicts(
        self, connection: Connection, stored: Sequence[tuple[EventLogEntry, int]]
    ) -> list[tuple[EventLogEntry, int]]:
        """Store the verdicts of checks together; returns those whose row is there already, which each have to change."""
        verdicts = [(event, i) for event, i in stored if event.dagster_event_type is _VERDICT]
        if not verdicts:
            return []
        table = AssetCheckExecutionsTable
        row = (table.c.asset_key, table.c.check_name, table.c.partition)
        known = {
            tuple(found) for found in connection.execute(db.select(*row).where(table.c.run_id == stored[0][0].run_id))
        }
        new, told_before = list[dict[str, Any]](), list[tuple[EventLogEntry, int]]()
        for event, event_id in verdicts:
            made = self._verdict_row(event, event_id)
            key = (made["asset_key"], made["check_name"], made["partition"])
            if key in known:
                told_before.append((event, event_id))
            else:
                new.append(made)
                known.add(key)
        if new:
            connection.execute(table.insert(), new)
        return told_before

    def _verdict_row(self, event: EventLogEntry, event_id: int) -> dict[str, Any]:
        """Return the row of one verdict, as Dagster's own class writes it."""
        said = event.get_dagster_event().asset_check_evaluation_data
        target = said.target_materialization_data
        status = AssetCheckExecutionRecordStatus.SUCCEEDED if said.passed else AssetCheckExecutionRecordStatus.FAILED
        return {
            "asset_key": said.asset_key.to_string(),
            "check_name": said.check_name,
            "run_id": event.run_id,
            "execution_status": status.value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
            "evaluation_event_storage_id": event_id,
            "materialization_event_storage_id": target.storage_id if target else None,
            "partition": said.partition,
        }


class SqliteEventLog(BatchedEventLog, SqliteEventLogStorage):
    """`SqliteEventLogStorage` with kept connections and batches; named in ``dagster.yaml`` as ``event_log_storage``.

    See https://docs.dagster.io/deployment/oss/dagster-yaml.

    Parameters
    ----------
    base_dir : str
        Folder of the databases.
    inst_data : ConfigurableClassData, optional
        How Dagster was told to make it.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SqliteEventLog":
        """Make it as ``dagster.yaml`` says."""
        return cls(str(Path(config_value["home"]) / "history" / "runs"), inst_data)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Say what ``dagster.yaml`` must tell: Dagster's home, because Dagster tells it to its own storages alone."""
        return {"home": StringSource}

    @property
    def engines(self) -> dict[str, Engine]:
        """The kept connections, by database: the index over all runs, and some runs."""
        return {shard: kept.engine for shard, kept in self._kept.items()}

    def has_table(self, table_name: str) -> bool:
        """Tell whether a table exists; one that was found is not looked for again."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def wipe(self) -> None:
        """Remove every event."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close the databases."""
        self._close()
        super().dispose()

    def _store_together(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run in its own database, then in the index over all runs."""
        with self.run_connection(events[0].run_id) as connection:
            connection.execute(SqlEventLogStorageTable.insert(), [self._event_to_row(event) for event in events])
        super()._store_together(events)

    @contextlib.contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """Begin a transaction on a kept connection; one thread at a time, as in Dagster's own class."""
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> Engine:
        """Return the one connection to a database, made ready the first time, and anew when its file was replaced."""
        kept = self._kept.pop(shard, None)
        if kept is not None and kept.file != self._file(shard):
            kept.engine.dispose()
            self._initialized_dbs.discard(shard)
            kept = None
        self._kept[shard] = kept or self._opened(shard)
        while len(self._kept) > _KEPT:
            oldest = next(name for name in self._kept if name != INDEX_SHARD_NAME)
            self._kept.pop(oldest).engine.dispose()
        return self._kept[shard].engine

    def _opened(self, shard: str) -> _Kept:
        """Open a database."""
        engine = db.create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return _Kept(engine, self._file(shard))

    def _file(self, shard: str) -> int | None:
        """Return what tells a database's file from another one of its name."""
        with contextlib.suppress(FileNotFoundError):
            return Path(self.path_for_shard(shard)).stat().st_ino
        return None

    def _close(self) -> None:
        """Close every kept connection."""
        with self._db_lock:
            while self._kept:
                self._kept.popitem()[1].engine.dispose()


def _can_batch(event: EventLogEntry) -> bool:
    """Tell whether an event may be stored with others."""
    return event.dagster_event_type is _VERDICT or (event.dagster_event_type in _BATCHED and _asset(event) is not None)


def _asset(event: EventLogEntry) -> str | None:
    """Return the asset that an event is about."""
    key = event.dagster_event.asset_key if event.dagster_event is not None else None
    return None if key is None else key.to_string()
