"""The composition root: everything that Dagster loads, and the only file that knows all parts."""

from pathlib import Path

import dagster as dg

from analysis_assets._analyses import ANALYSES_FOLDER, AnalysisEntry, find_analyses
from analysis_assets._asset import build_asset, inbox_key_of, partitions_of
from analysis_assets._checks import build_checks
from audit.checks import build_audit
from dispatch.dispatch_job import build_dispatch_job
from dispatch.recording import dispatch_key_of
from dispatch.saved import build_schedules
from resources.connections import connect
from resources.explorer_links import analysis_in_explorer
from resources.settings import Settings, load_settings
from sensors.alerts import build_alert_sensors
from sensors.bad_files import build_inbox_check
from sensors.inbox_watch import build_inbox_watch
from sensors.job_files import build_sensor
from sensors.retry_failed import build_retry_job


def build_defs(settings: Settings, *, folder: Path = ANALYSES_FOLDER) -> dg.Definitions:
    """Make the definitions of all analyses in a folder.

    Parameters
    ----------
    settings : Settings
        Servers and choices; nothing is connected to.
    folder : Path
        Where the analyses are.
    """
    found = find_analyses(folder)
    entries = list(found.values())
    work_folder = settings.analysis_home / "work"
    assets = [
        _linked(build_asset(entry, work_folder=work_folder, dry_run=settings.dry_run), entry, settings)
        for entry in entries
    ]
    audits = [build_audit(entries)] if entries else []
    dispatch = build_dispatch_job(found, dry_run=settings.dry_run)
    return dg.Definitions(
        assets=[*assets, *(_inbox(entry, settings) for entry in entries), *(_dispatches(entry) for entry in entries)],
        asset_checks=[
            *(checks for checks, _ in audits),
            *(build_inbox_check(entry) for entry in entries),
            *(check for entry in entries for check in build_checks(entry, partitions_of(entry.analysis.name))),
        ],
        jobs=[dispatch, *(build_retry_job(entry) for entry in entries)],
        schedules=build_schedules(settings.dispatches, dispatch, analyses=found, dry_run=settings.dry_run),
        sensors=[
            *(
                build_sensor(e, a, dry_run=settings.dry_run, listing_s=settings.listing_s)
                for e, a in zip(entries, assets, strict=True)
            ),
            *([build_inbox_watch(entries, dry_run=settings.dry_run)] if settings.job_inbox_queue_url else []),
            *(sensor for _, sensor in audits),
            *(build_alert_sensors(entries, ui_url=settings.dagster_ui_url) if settings.alerts_somebody else []),
        ],
        resources=connect(settings, for_dagster=True).as_dict(),
        executor=dg.in_process_executor,  # a run is already a process of its own, and its jobs have theirs
    )


def _linked(asset: dg.AssetsDefinition, entry: AnalysisEntry, settings: Settings) -> dg.AssetsDefinition:
    """Add a link to the table of an analysis in the explorer, where it is known where that is."""
    if settings.explorer_address is None:
        return asset
    link = dg.MetadataValue.url(analysis_in_explorer(settings.explorer_address, entry.analysis.name))
    (linked,) = dg.map_asset_specs(lambda spec: spec.merge_attributes(metadata={"explorer": link}), [asset])
    return linked


def _inbox(entry: AnalysisEntry, settings: Settings) -> dg.AssetSpec:
    """Describe the inbox of an analysis: job files that a dispatcher or a person writes."""
    name = entry.analysis.name
    return dg.AssetSpec(
        key=inbox_key_of(name),
        deps=[dispatch_key_of(name)],
        group_name=name,
        owners=list(entry.analysis.owners),
        kinds={"json"},
        description=f"Job files for `{name}`, taken in by its sensor. The check fails while any of them is refused.",
        metadata={"folder": dg.MetadataValue.path(f"{settings.job_inbox}/{name}")},
    )


def _dispatches(entry: AnalysisEntry) -> dg.AssetSpec:
    """Describe the dispatches of an analysis: each one is a materialization, each plan an observation."""
    name = entry.analysis.name
    return dg.AssetSpec(
        key=dispatch_key_of(name),
        group_name=name,
        owners=list(entry.analysis.owners),
        kinds={"json"},
        description=f"Dispatches for `{name}`: who asked for which data, and what was written. Launch the job `dispatch`.",
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return what Dagster loads: the analyses of this project, with the settings of the environment."""
    return build_defs(load_settings())
