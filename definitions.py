"""The composition root: everything that Dagster loads, and the only file that knows all parts."""

from pathlib import Path

import dagster as dg

from audit.definitions import audit_definitions
from dispatch.definitions import dispatch_definitions
from dispatch.recording import dispatch_key_of
from engine.definitions import analysis_definitions
from engine.discovery.analyses import ANALYSES_FOLDER, find_analyses
from engine.worker.pool import WorkerPool
from resources.connections import ClientLimits, connect
from resources.settings import Settings, load_settings
from results_table.definitions import table_definitions
from sensors.definitions import sensor_definitions


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
    analyses = find_analyses(folder)
    entries = list(analyses.values())
    return dg.Definitions.merge(
        analysis_definitions(entries, settings, pool=pool),
        sensor_definitions(entries, settings, upstream=[dispatch_key_of(name) for name in analyses]),
        dispatch_definitions(analyses, settings),
        audit_definitions(entries),
        table_definitions(entries, settings),
        dg.Definitions(
            resources=connect(settings, for_dagster=True, limits=limits or ClientLimits()).as_dict(),
            executor=dg.in_process_executor,  # a run is already a process of its own, and its jobs have theirs
        ),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return what Dagster loads: the analyses of this project, with the settings of the environment."""
    return build_defs(load_settings())
