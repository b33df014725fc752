"""What Dagster loads for analyses: an asset for each, and its checks."""

from collections.abc import Sequence

import dagster as dg

from engine.assets.checks import build_checks
from engine.assets.factory import build_asset, partitions_of
from engine.discovery.analyses import AnalysisEntry
from engine.worker.pool import WorkerPool
from resources.settings import Settings


def analysis_definitions(
    entries: Sequence[AnalysisEntry], settings: Settings, *, pool: type[WorkerPool] = WorkerPool
) -> dg.Definitions:
    """Make the assets of analyses and their checks.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        The analyses.
    settings : Settings
        Where jobs work, and whether they only try.
    pool : type of WorkerPool
        How user code is run.
    """
    return dg.Definitions(
        assets=[
            build_asset(
                entry,
                work_folder=settings.analysis_scratch,
                dry_run=settings.dry_run,
                explorer_url=settings.explorer_address,
                pool=pool,
            )
            for entry in entries
        ],
        asset_checks=[build_checks(entry, partitions_of(entry.analysis.name)) for entry in entries],
    )
