"""The composition root: everything that Dagster loads, and the only file that knows all parts."""

from pathlib import Path

import dagster as dg

from analysis_assets._analyses import ANALYSES_FOLDER, AnalysisEntry, find_analyses
from analysis_assets._asset import build_asset, partitions_of
from analysis_assets._checks import build_checks
from analysis_assets._materialization import inbox_key_of
from analysis_assets._pool import WorkerPool
from audit.checks import build_audit
from catalog.assets import build_catalogs
from catalog.sensor import build_catalog_sensor
from dispatch.dispatch_job import build_dispatch_job
from dispatch.recording import dispatch_key_of
from dispatch.saved import build_schedules
from resources.connections import ClientLimits, connect
from resources.settings import Settings, load_settings
from sensors.alerts import build_alert_sensors
from sensors.bad_files import build_inbox_check
from sensors.inbox_watch import build_inbox_watch
from sensors.job_files import build_sensor
from sensors.retry_failed import build_retry_job

DATA_ASSETS = dg.AssetKey(["data_assets"])


def build_defs(
    settings: Settings,
    *,
    folder: Path = ANALYSES_FOLDER,
    pool: type[WorkerPool] = WorkerPool,
    limits: ClientLimits | None = None,
) -> dg.Definitions:
    """Make the definitions of all analyses in a folder.

    Parameters
    ----------
    settings : Settings
        Servers and choices; nothing is connected to.
    folder : Path
        Where the analyses are.
    pool : type of WorkerPool
        How user code is run.
    limits : ClientLimits
        How long the clients of outside systems wait.
    """
    found = find_analyses(folder)
    entries = list(found.values())
    work_folder = settings.analysis_home / "work"
    assets = [
        build_asset(
            entry,
            work_folder=work_folder,
            dry_run=settings.dry_run,
            explorer_url=settings.explorer_address,
            pool=pool,
        )
        for entry in entries
    ]
    audits = [build_audit(entries)] if entries else []
    catalogs = build_catalogs(entries, ui_url=settings.dagster_ui_url, dry_run=settings.dry_run)
    dispatch = build_dispatch_job(found, dry_run=settings.dry_run)
    return dg.Definitions(
        assets=[
            *assets,
            *(_inbox(entry, settings) for entry in entries),
            *(_dispatches(entry) for entry in entries),
            _data_assets(settings),
            *catalogs,
        ],
        asset_checks=[
            *(checks for checks, _ in audits),
            *(build_inbox_check(entry) for entry in entries),
            *(build_checks(entry, partitions_of(entry.analysis.name)) for entry in entries),
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
            *([build_catalog_sensor(entries, catalogs, dry_run=settings.dry_run)] if entries else []),
            *(build_alert_sensors(entries, ui_url=settings.dagster_ui_url) if settings.alerts_somebody else []),
        ],
        resources=connect(settings, for_dagster=True, limits=limits or ClientLimits()).as_dict(),
        executor=dg.in_process_executor,  # a run is already a process of its own, and its jobs have theirs
    )


def _data_assets(settings: Settings) -> dg.AssetSpec:
    """Describe the metadata database that dispatches query; where it is, and never how one logs in."""
    behind = {"api": dg.MetadataValue.url(settings.assets_api_url)} if settings.assets_api_url else {}
    return dg.AssetSpec(
        key=DATA_ASSETS,
        group_name="data",
        kinds={"mongodb"},
        description="The lab's metadata database: a record for each data asset (a session's folder). The platform only reads it, "
        "to find what to analyse.",
        metadata={
            "database": dg.MetadataValue.text(settings.assets_database),
            "collection": dg.MetadataValue.text(settings.assets_collection),
            **behind,
        },
    )


def _inbox(entry: AnalysisEntry, settings: Settings) -> dg.AssetSpec:
    """Describe the inbox of an analysis: job files that a dispatcher or a person writes."""
    name = entry.analysis.name
    return dg.AssetSpec(
        key=inbox_key_of(name),
        deps=[dispatch_key_of(name)],
        group_name=name,
        owners=list(entry.analysis.owners),
        kinds={"json"},
        description=f"The folder for job files of `{name}`: each file that is put there asks for one job, and the sensor "
        f"`{name}_job_files` takes it in. The check fails while any of them is refused, and says why.",
        metadata={"folder": dg.MetadataValue.path(f"{settings.job_inbox}/{name}")},
    )


def _dispatches(entry: AnalysisEntry) -> dg.AssetSpec:
    """Describe the dispatches of an analysis: each one is a materialization, each plan an observation."""
    name = entry.analysis.name
    return dg.AssetSpec(
        key=dispatch_key_of(name),
        deps=[DATA_ASSETS],
        group_name=name,
        owners=list(entry.analysis.owners),
        kinds={"json"},
        description=f"Dispatches write job files for `{name}` from a search in `data_assets`. Each event says who asked for "
        "which data, and what was written. To make one: *Jobs*, `dispatch`, *Launchpad*.",
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return what Dagster loads: the analyses of this project, with the settings of the environment."""
    return build_defs(load_settings())
