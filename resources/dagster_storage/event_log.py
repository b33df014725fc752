"""Dagster's event log with fewer disk writes, which are most of Dagster's cost for a batch of jobs.

On SQLite, Dagster's own class opens a connection for each statement, and stores the events of a batch one by one, in
two or three transactions each. The class here keeps its connections, and stores a batch in two transactions: one for
the database of the run, one for the index over all runs. The files are the same, so the classes can be exchanged.
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
    """An open connection and its file."""

    engine: Engine
    file: int | None


class BatchedEventLog(SqlEventLogStorage):
    """Base of the event logs on SQLite and PostgreSQL: stores the events of a batch together."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in order: asset events of one run together, others as Dagster does."""
        if len({event.run_id for event in events}) == 1 and all(_can_batch(event) for event in events):
            self._store_together(events)
        else:
            super().store_event_batch(events)

    def _store_together(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run with their tags, and update their assets from the latest events."""
        insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
        with self.index_transaction() as connection:
            ids = list(connection.execute(insert, [self._event_to_row(event) for event in events]).scalars())
            stored = list(zip(events, ids, strict=True))
            self._store_asset_event_tags(connection, events, ids)  # check evaluations have none
            # An asset only stores its last event of each type.
            last = {(event.dagster_event_type, _asset(event)): (event, i) for event, i in stored if _asset(event)}
            # In the order of the events, because each one sets the asset's latest timestamp.
            for event, event_id in sorted(last.values(), key=lambda found: found[1]):
                self._store_asset_event(connection, event, event_id)
            known_events = self._store_verdicts(connection, stored)
        for event, event_id in known_events:
            self._update_asset_check_evaluation(event, event_id)

    def _store_verdicts(
        self, connection: Connection, stored: Sequence[tuple[EventLogEntry, int]]
    ) -> list[tuple[EventLogEntry, int]]:
        """Store check evaluations together; return those with an existing row, which must be updated one by one."""
        verdicts = [(event, i) for event, i in stored if event.dagster_event_type is _VERDICT]
        if not verdicts:
            return []
        table = AssetCheckExecutionsTable
        row = (table.c.asset_key, table.c.check_name, table.c.partition)
        known = {
            tuple(found) for found in connection.execute(db.select(*row).where(table.c.run_id == stored[0][0].run_id))
        }
        new, known_events = list[dict[str, Any]](), list[tuple[EventLogEntry, int]]()
        for event, event_id in verdicts:
            made = self._verdict_row(event, event_id)
            key = (made["asset_key"], made["check_name"], made["partition"])
            if key in known:
                known_events.append((event, event_id))
            else:
                new.append(made)
                known.add(key)
        if new:
            connection.execute(table.insert(), new)
        return known_events

    def _verdict_row(self, event: EventLogEntry, event_id: int) -> dict[str, Any]:
        """Return the row of an evaluation, as Dagster's class writes it."""
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
        Configuration in ``dagster.yaml``, as Dagster passes it.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SqliteEventLog":
        """Create the storage from the configuration in ``dagster.yaml``."""
        return cls(str(Path(config_value["home"]) / "history" / "runs"), inst_data)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the configuration schema: the base folder, which Dagster only passes to its own storages."""
        return {"home": StringSource}

    @property
    def engines(self) -> dict[str, Engine]:
        """Open connections by database: the index over all runs, and some runs."""
        return {shard: kept.engine for shard, kept in self._kept.items()}

    def has_table(self, table_name: str) -> bool:
        """Return whether a table exists; existing tables are cached."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def wipe(self) -> None:
        """Delete all events."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close all connections."""
        self._close()
        super().dispose()

    def _store_together(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run in its database, then in the index over all runs."""
        with self.run_connection(events[0].run_id) as connection:
            connection.execute(SqlEventLogStorageTable.insert(), [self._event_to_row(event) for event in events])
        super()._store_together(events)

    @contextlib.contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """Begin a transaction on an open connection; one thread at a time, as in Dagster's class."""
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> Engine:
        """Return the connection to a database; it is opened the first time, and again if its file was replaced."""
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
        """Return the inode of a database file, which changes if the file is replaced; None if there is none."""
        with contextlib.suppress(FileNotFoundError):
            return Path(self.path_for_shard(shard)).stat().st_ino
        return None

    def _close(self) -> None:
        with self._db_lock:
            while self._kept:
                self._kept.popitem()[1].engine.dispose()


def _can_batch(event: EventLogEntry) -> bool:
    """Return whether an event can be stored in a batch."""
    return event.dagster_event_type is _VERDICT or (event.dagster_event_type in _BATCHED and _asset(event) is not None)


def _asset(event: EventLogEntry) -> str | None:
    """Return the asset key of an event."""
    key = event.dagster_event.asset_key if event.dagster_event is not None else None
    return None if key is None else key.to_string()
