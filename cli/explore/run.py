"""`analysis explore`: serves the explorer until it is interrupted. It is read-only."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from cli.dagster_processes import free_port
from domain.errors import AnalysisFileError
from engine.discovery.analyses import ANALYSES_FOLDER, AnalysisEntry, analysis_files, load_named
from explorer.context import ExplorerContext
from explorer.data.analysis_data import Tables
from explorer.server import Login, is_loopback, make_server, serve
from resources.connections import connect
from resources.embedded.embedded import serving
from resources.records.reader import RecordReader
from resources.settings import Settings, load_settings

_log = logging.getLogger(__name__)


def explore(*, port: int, host: str, say: Callable[[str], None]) -> None:
    """Serve the explorer until interrupted.

    Parameters
    ----------
    port : int
        Port to listen on; another one if it is taken.
    host : str
        Address to listen on.
    say : callable
        Called with each line for the terminal.

    Raises
    ------
    SettingsError
        If `host` is reachable from other machines and no login is configured.
    """
    settings = load_settings()
    loopback = is_loopback(host)
    with ExitStack() as stack:
        if settings.embedded_mongo or settings.embedded_s3:
            stack.enter_context(serving(settings.analysis_home))
        server = make_server(context_of(settings), login=login_of(settings), loopback=loopback)
        chosen = free_port(port) if loopback else port
        shown = f"[{host}]" if ":" in host else host
        say(f"Explorer   http://{shown}:{chosen}   (Ctrl-C ends it)")
        if not loopback:
            say("Name and password travel unencrypted: put a proxy with TLS before it.")
        serve(server, host=host, port=chosen)


def context_of(settings: Settings, *, folder: Path = ANALYSES_FOLDER) -> ExplorerContext:
    """Return the context of the explorer; connections are opened on first use."""
    connections = connect(settings)
    records = RecordReader(mongo=connections.record_store.mongo, name=connections.record_store.name)
    tables = Tables(connections.catalog_files, records, _entries(folder))
    return ExplorerContext(tables, records, connections.results_store, settings.dagster_ui_url)


def login_of(settings: Settings) -> Login | None:
    """Return the configured login; None if there is none."""
    if settings.explorer_user is None or settings.explorer_password is None:
        return None
    return Login(settings.explorer_user, settings.explorer_password)


def _entries(folder: Path) -> dict[str, AnalysisEntry | None]:
    """Load the analyses; results of an analysis whose file is broken are shown without units."""
    found: dict[str, AnalysisEntry | None] = {}
    for name in analysis_files(folder):
        try:
            found[name] = load_named(name, folder)
        except AnalysisFileError as error:
            _log.warning("Shown without units and meanings: %s", error)
            found[name] = None
    return found
