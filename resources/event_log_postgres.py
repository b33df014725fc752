"""Earlier name of `resources.dagster_storage.event_log_postgres`, for existing ``dagster.yaml`` files."""

from resources.dagster_storage.event_log_postgres import PostgresEventLog

__all__ = ["PostgresEventLog"]
