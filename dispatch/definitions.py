"""The Dagster definitions of dispatches: assets of the metadata database and of dispatches, a job, and schedules."""

from collections.abc import Mapping

import dagster as dg

from dispatch.dispatch_job import build_dispatch_job
from dispatch.recording import dispatch_key_of
from dispatch.saved import build_schedules
from engine.discovery.analyses import AnalysisEntry
from resources.settings import Settings

DATA_ASSETS = dg.AssetKey(["data_assets"])


def dispatch_definitions(entries: Mapping[str, AnalysisEntry], settings: Settings) -> dg.Definitions:
    """Return the job ``dispatch``, the schedules of saved dispatches, and the assets that show them.

    Parameters
    ----------
    entries : mapping of str to AnalysisEntry
        Analyses that can be dispatched, by name.
    settings : Settings
        Address of the metadata database, and the folder of saved dispatches.
    """
    job = build_dispatch_job(entries, dry_run=settings.dry_run)
    return dg.Definitions(
        assets=[_data_assets(settings), *map(_dispatches, entries.values())],
        jobs=[job],
        schedules=build_schedules(settings.dispatches, job, analyses=entries, dry_run=settings.dry_run),
    )


def _data_assets(settings: Settings) -> dg.AssetSpec:
    """Return the asset of the metadata database, with its address but without credentials."""
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


def _dispatches(entry: AnalysisEntry) -> dg.AssetSpec:
    """Return the asset of an analysis's dispatches: each one is a materialization, each plan an observation."""
    name = entry.analysis.name
    return dg.AssetSpec(
        key=dispatch_key_of(name),
        deps=[DATA_ASSETS],
        group_name=name,
        owners=list(entry.analysis.owners),
        kinds={"json"},
        description=f"Dispatches write job files for `{name}` from a search in `data_assets`. Each event shows who "
        "requested which data, and what was written. To start one: *Jobs*, `dispatch`, *Launchpad*.",
    )
