"""The Dagster definitions of analyses: an asset for each, and its checks."""

from collections.abc import Sequence

import dagster as dg

from engine.assets.checks import build_checks
from engine.assets.factory import build_asset, partitions_of
from engine.discovery.analyses import AnalysisEntry
from engine.execution.environment import Machine
from engine.worker.pool import WorkerPool
from resources.settings import Settings


def analysis_definitions(
    entries: Sequence[AnalysisEntry], settings: Settings, *, pool: type[WorkerPool] = WorkerPool
) -> dg.Definitions:
    """Return the assets of analyses and their checks.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        Each gets an asset and its checks.
    settings : Settings
        Its work folder is used, and ``DRY_RUN``.
    pool : type of WorkerPool
        Pool of the processes that execute user code.
    """
    return dg.Definitions(
        assets=[
            build_asset(
                entry,
                machine=Machine(settings.analysis_scratch, settings.analysis_image, settings.record_patch),
                dry_run=settings.dry_run,
                explorer_url=settings.explorer_address,
                pool=pool,
            )
            for entry in entries
        ],
        asset_checks=[build_checks(entry, partitions_of(entry.analysis.name)) for entry in entries],
    )
