"""Dagster definitions for requested jobs: inboxes with their sensors and checks, retries, alerts."""

from collections.abc import Sequence

import dagster as dg

from engine.assets.materialization import inbox_key_of
from engine.discovery.analyses import AnalysisEntry
from resources.settings import Settings
from sensors.alerts import build_alert_sensors
from sensors.inbox_queue import build_inbox_watch
from sensors.job_files.rejected import build_inbox_check
from sensors.job_files.sensor import build_sensor
from sensors.retry_failed import build_retry_job


def sensor_definitions(
    entries: Sequence[AnalysisEntry],
    settings: Settings,
    *,
    upstream: Sequence[dg.AssetKey],
) -> dg.Definitions:
    """Build the inboxes of analyses, their sensors, alerts, and the Dagster jobs that requeue failed jobs.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        The analyses, with their current code versions.
    settings : Settings
        Settings of the inboxes and of the hooks for alerts.
    upstream : sequence of dagster.AssetKey
        Asset of the dispatches that write the job files of each analysis, in the same order.
    """
    dry_run = settings.dry_run
    sensors = [build_sensor(entry, dry_run=dry_run, listing_s=settings.listing_s) for entry in entries]
    if settings.job_inbox_queue_url:
        sensors.append(build_inbox_watch(entries, dry_run=dry_run))
    if settings.has_alert_hooks:
        sensors += build_alert_sensors(entries, ui_url=settings.dagster_ui_url)
    return dg.Definitions(
        assets=[_inbox(entry, settings, key) for entry, key in zip(entries, upstream, strict=True)],
        asset_checks=[build_inbox_check(entry) for entry in entries],
        jobs=[build_retry_job(entry) for entry in entries],
        sensors=sensors,
    )


def _inbox(entry: AnalysisEntry, settings: Settings, upstream: dg.AssetKey) -> dg.AssetSpec:
    """Return the asset of an inbox: job files that a dispatch or an operator writes."""
    name = entry.analysis.name
    return dg.AssetSpec(
        key=inbox_key_of(name),
        deps=[upstream],
        group_name=name,
        owners=list(entry.analysis.owners),
        kinds={"json"},
        description=f"The folder for job files of `{name}`: each file that is put there requests one job, and the sensor "
        f"`{name}_job_files` ingests it. The check fails while any file is rejected, and lists the reasons.",
        metadata={"folder": dg.MetadataValue.path(f"{settings.job_inbox}/{name}")},
    )
