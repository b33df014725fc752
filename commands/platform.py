"""What every command stands on: settings, analyses, and connections to servers that run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from analysis_assets._catalog import ANALYSES_FOLDER, CatalogEntry, find_analyses
from domain.errors import UnknownJobError
from resources.connections import Connections, connect
from resources.embedded import serving
from resources.settings import Settings, load_settings


@dataclass(frozen=True)
class Platform:
    """An open platform.

    Attributes
    ----------
    settings : Settings
        What the environment says.
    catalog : dict of str to CatalogEntry
        The analyses.
    connections : Connections
        The outside systems.
    """

    settings: Settings
    catalog: dict[str, CatalogEntry]
    connections: Connections

    def entry(self, name: str) -> CatalogEntry:
        """Return an analysis.

        Raises
        ------
        UnknownJobError
            If there is none of this name; lists those that exist.
        """
        if name not in self.catalog:
            msg = f"There is no analysis `{name}`. The analyses are: {', '.join(sorted(self.catalog))}."
            raise UnknownJobError(msg)
        return self.catalog[name]


@contextmanager
def open_platform(settings: Settings | None = None, *, folder: Path = ANALYSES_FOLDER) -> Iterator[Platform]:
    """Open the platform: the embedded servers run at least as long as the context, where they are used.

    Yields
    ------
    Platform
        Ready for use; inbox folder and embedded bucket exist.
    """
    settings = settings or load_settings()
    with ExitStack() as stack:
        if settings.embedded_mongo or settings.embedded_s3:
            stack.enter_context(serving(settings.analysis_home))
        connections = connect(settings)
        connections.job_inbox.ensure()
        if settings.embedded_s3:
            connections.results_store.ensure_bucket()
        yield Platform(settings, find_analyses(folder), connections)
