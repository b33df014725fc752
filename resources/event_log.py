"""The name under which an operator's ``dagster.yaml`` may know `resources.dagster_storage.event_log`."""

from resources.dagster_storage.event_log import SqliteEventLog

__all__ = ["SqliteEventLog"]
