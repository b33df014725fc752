"""The check of a results table that warns while results are missing in it for long, because its updates fail or do not run."""

from datetime import UTC, datetime

import dagster as dg

from engine.discovery.analyses import AnalysisEntry
from resources.records.reader import RecordReader
from resources.records.store import RecordStore
from resources.result_store.catalog_age import age_of_table, newer_results
from results_table.names import table_key_of

CHECK_NAME = "includes_newest_results"


def build_age_check(entry: AnalysisEntry) -> dg.AssetChecksDefinition:
    """Make the check of one analysis; the sensor ``catalogs`` reports it when its verdict changes."""
    name = entry.analysis.name

    @dg.asset_check(
        asset=table_key_of(name),
        name=CHECK_NAME,
        description="Warns while results exist that are newer than the results table; the sensor `catalogs` reports it after 20 minutes.",
    )
    def includes_newest_results(
        context: dg.AssetCheckExecutionContext, record_store: RecordStore
    ) -> dg.AssetCheckResult:
        age = table_age(context.instance, record_store, name)
        return dg.AssetCheckResult(passed=not age, severity=dg.AssetCheckSeverity.WARN, description=age or None)

    return includes_newest_results


def updated_at(instance: dg.DagsterInstance, name: str) -> datetime | None:
    """Return when the results table of an analysis was last materialized; None if it never was."""
    event = instance.get_latest_materialization_event(table_key_of(name))
    return None if event is None else datetime.fromtimestamp(event.timestamp, UTC)


def table_age(instance: dg.DagsterInstance, records: RecordReader, name: str) -> str:
    """Say that the results table of an analysis is older than the newest results; empty when it is not."""
    updated = updated_at(instance, name)
    return age_of_table(name, updated, newer_results(records, name, updated))


def verdict(name: str, age: str) -> dg.AssetCheckEvaluation:
    """Return what the check says, for the sensor to report."""
    return dg.AssetCheckEvaluation(
        asset_key=table_key_of(name),
        check_name=CHECK_NAME,
        passed=not age,
        severity=dg.AssetCheckSeverity.WARN,
        description=age or None,
    )
