"""The name under which an operator's ``dagster.yaml`` may know `resources.dagster_storage.event_log_postgres`."""

from resources.dagster_storage.event_log_postgres import PostgresEventLog

__all__ = ["PostgresEventLog"]
