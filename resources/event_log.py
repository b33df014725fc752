"""Earlier name of `resources.dagster_storage.event_log`, for existing ``dagster.yaml`` files."""

from resources.dagster_storage.event_log import SqliteEventLog

__all__ = ["SqliteEventLog"]
