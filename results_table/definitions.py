"""The Dagster definitions of results tables: assets ``catalog`` and ``report`` of each analysis, and a sensor."""

from collections.abc import Sequence

import dagster as dg

from engine.discovery.analyses import AnalysisEntry
from resources.settings import Settings
from results_table.age import build_age_check
from results_table.assets import build_table_assets
from results_table.sensor import build_table_sensor


def table_definitions(entries: Sequence[AnalysisEntry], settings: Settings) -> dg.Definitions:
    """Return the assets of tables and reports, and the sensor that updates them.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        Each gets two assets.
    settings : Settings
        Its URL of Dagster's UI is used in links; with ``DRY_RUN`` nothing is written.
    """
    assets = build_table_assets(entries, ui_url=settings.dagster_ui_url, dry_run=settings.dry_run)
    sensors = [build_table_sensor(entries, assets, dry_run=settings.dry_run)] if entries else []
    return dg.Definitions(assets=assets, asset_checks=[build_age_check(entry) for entry in entries], sensors=sensors)
