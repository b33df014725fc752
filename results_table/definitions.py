"""What Dagster loads for tables of results: the assets ``catalog`` and ``report`` of each analysis, and their sensor."""

from collections.abc import Sequence

import dagster as dg

from engine.discovery.analyses import AnalysisEntry
from resources.settings import Settings
from results_table.age import build_age_check
from results_table.assets import build_catalogs
from results_table.sensor import build_catalog_sensor


def table_definitions(entries: Sequence[AnalysisEntry], settings: Settings) -> dg.Definitions:
    """Make the assets of all results, and the sensor that brings them up to date.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        The analyses.
    settings : Settings
        Address of Dagster's UI, for links, and whether the sensor only reports.
    """
    assets = build_catalogs(entries, ui_url=settings.dagster_ui_url, dry_run=settings.dry_run)
    sensors = [build_catalog_sensor(entries, assets, dry_run=settings.dry_run)] if entries else []
    return dg.Definitions(assets=assets, asset_checks=[build_age_check(entry) for entry in entries], sensors=sensors)
