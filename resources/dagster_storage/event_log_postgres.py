"""Dagster's event log on PostgreSQL with batches: Dagster's class stores the planned events of a run one by one."""

from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config

from resources.dagster_storage.event_log import BatchedEventLog


class PostgresEventLog(BatchedEventLog, PostgresEventLogStorage):
    """`PostgresEventLogStorage` with batches; named in ``dagster.yaml`` as ``event_log_storage``, configured like it."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PostgresEventLog":
        """Create the storage from the configuration in ``dagster.yaml``."""
        return cls(pg_url_from_config(dict(config_value)), inst_data=inst_data)
