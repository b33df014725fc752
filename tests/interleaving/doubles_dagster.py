"""Dagster in memory: the methods of an instance that sensors, audits and reports of runs call.

An ephemeral instance would do, but it writes SQLite for every event; thousands of schedules need less.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import dagster as dg

PARTITION_OF_EVENT = "partition"


@dataclass
class DagsterState:
    """What Dagster's storage holds."""

    partitions: list[str] = field(default_factory=list)
    runs: dict[str, dg.DagsterRun] = field(default_factory=dict)
    materializations: list[tuple[int, dg.AssetMaterialization]] = field(default_factory=list)
    observations: list[Any] = field(default_factory=list)
    checks: set[tuple[str, dg.AssetCheckKey]] = field(default_factory=set)
    stored: int = 0

    def latest(self, partition: str) -> dg.AssetMaterialization | None:
        """Return what Dagster shows for a partition."""
        found = [event for _, event in self.materializations if event.partition == partition]
        return found[-1] if found else None


class DagsterDouble:
    """An instance over a storage in memory; several instances share one storage."""

    def __init__(self, state: DagsterState) -> None:
        self.state = state

    @property
    def event_log_storage(self) -> "DagsterDouble":
        """The part of an instance that stores events."""
        return self

    def get_dynamic_partitions(self, _: str) -> list[str]:
        """Return the partitions, in their stored order."""
        return list(self.state.partitions)

    def add_dynamic_partitions(self, _: str, keys: list[str]) -> None:
        """Add those that are not there."""
        self.state.partitions += [key for key in keys if key not in self.state.partitions]

    def delete_dynamic_partition(self, _: str, key: str) -> None:
        """Remove one."""
        if key in self.state.partitions:
            self.state.partitions.remove(key)

    def create(self, job_name: str, run_id: str, tags: dict[str, str], status: dg.DagsterRunStatus) -> None:
        """Store a run."""
        self.state.runs[run_id] = dg.DagsterRun(job_name=job_name, run_id=run_id, tags=tags, status=status)

    def end(self, run_id: str, status: dg.DagsterRunStatus) -> None:
        """Store how a run ended."""
        run = self.state.runs[run_id]
        self.create(run.job_name, run_id, dict(run.tags), status)

    def get_runs(self, filters: dg.RunsFilter | None = None, limit: int | None = None) -> list[dg.DagsterRun]:
        """Return runs of some states, the latest first."""
        statuses = (filters.statuses if filters else None) or list(dg.DagsterRunStatus)
        found = [run for run in self.state.runs.values() if run.status in statuses]
        return found[::-1][:limit]

    def get_run_records(self, filters: dg.RunsFilter | None = None) -> list[Any]:
        """Return runs of some states; of none it is known when it began."""
        return [SimpleNamespace(dagster_run=run, start_time=None) for run in self.get_runs(filters)]

    def get_run_by_id(self, run_id: str) -> dg.DagsterRun | None:
        """Return a run."""
        return self.state.runs.get(run_id)

    def report_run_failed(self, run: dg.DagsterRun, _: str | None = None) -> None:
        """Mark a run as failed."""
        self.end(run.run_id, dg.DagsterRunStatus.FAILURE)

    def add_run_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Add tags to a run."""
        run = self.state.runs[run_id]
        self.create(run.job_name, run_id, {**run.tags, **tags}, run.status)

    def report_runless_asset_event(self, event: Any) -> None:
        """Store an event."""
        self.state.stored += 1
        if isinstance(event, dg.AssetMaterialization):
            self.state.materializations.append((self.state.stored, event))
        elif isinstance(event, dg.AssetCheckEvaluation):
            self.state.checks.add((str(getattr(event, PARTITION_OF_EVENT)), event.asset_check_key))
        else:
            self.state.observations.append(event)

    def get_materialized_partitions(self, _: dg.AssetKey) -> set[str]:
        """Return the partitions that are shown as materialized."""
        return {str(event.partition) for _, event in self.state.materializations}

    def get_latest_storage_id_by_partition(self, _: dg.AssetKey, __: Any, keys: set[str]) -> dict[str, int]:
        """Return the number of the latest materialization of each partition."""
        return {str(e.partition): number for number, e in self.state.materializations if e.partition in keys}

    def fetch_materializations(self, wanted: dg.AssetRecordsFilter, limit: int) -> Any:
        """Return materializations by their numbers."""
        records = [
            SimpleNamespace(partition_key=e.partition, storage_id=number, run_id="", timestamp=0.0)
            for number, e in self.state.materializations
            if number in (wanted.storage_ids or ())
        ]
        return SimpleNamespace(records=records[:limit])

    def get_asset_check_partition_info(self, keys: Any, *, partition_keys: list[str]) -> list[Any]:
        """Return which checks have judged a partition."""
        wanted = {(partition, key) for partition in partition_keys for key in keys}
        return [SimpleNamespace(check_key=key) for _, key in sorted(wanted & self.state.checks, key=str)]
