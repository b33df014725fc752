"""The Dagster definitions, and the only module that imports all parts."""

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
    """Return the definitions of all analyses in a folder.

    Parameters
    ----------
    settings : Settings
        Addresses and options; no connection is opened.
    folder : Path
        Folder of the analysis files.
    pool : type of WorkerPool
        Pool of the processes that execute user code.
    limits : ClientLimits
        Time limits of the clients.
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
            executor=dg.in_process_executor,  # a run has its own process, and its jobs have theirs
        ),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of this project's analyses, with the settings of the environment."""
    return build_defs(load_settings())
