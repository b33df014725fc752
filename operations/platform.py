"""What every command stands on: settings, analyses, and connections to servers that run."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import ServerUnavailableError
from engine.discovery.analyses import ANALYSES_FOLDER, AnalysisEntry, analysis_files, load_named
from resources.connections import Connections, connect
from resources.embedded.embedded import serving
from resources.settings import Settings, load_settings

_NAMED_USER = re.compile(r'\b(user|role) "[^"]*"')


@dataclass(frozen=True)
class Platform:
    """An open platform.

    Attributes
    ----------
    settings : Settings
        What the environment says.
    folder : Path
        Where the analyses are.
    connections : Connections
        The outside systems.
    """

    settings: Settings
    folder: Path
    connections: Connections

    @property
    def names(self) -> list[str]:
        """The names of the analyses, whether or not their files can be loaded."""
        return list(analysis_files(self.folder))

    def entry(self, name: str) -> AnalysisEntry:
        """Return an analysis, loaded when it is first asked for.

        Raises
        ------
        UnknownJobError
            If there is none of this name; lists those that exist.
        AnalysisFileError
            If its file does not define an analysis.
        """
        return _loaded(name, self.folder)


@lru_cache(maxsize=64)
def _loaded(name: str, folder: Path) -> AnalysisEntry:
    """Load an analysis once for each command."""
    return load_named(name, folder)


@contextmanager
def open_dagster(settings: Settings) -> Iterator[dg.DagsterInstance | None]:
    """Open Dagster's storage; None where it has no home yet, because nothing was ever run."""
    if not (settings.dagster_home / "dagster.yaml").is_file():
        yield None
        return
    with open_storage(settings) as instance:
        yield instance


def open_storage(settings: Settings) -> dg.DagsterInstance:
    """Open Dagster's storage in a home that is configured.

    Raises
    ------
    ServerUnavailableError
        If its PostgreSQL does not answer, or refuses the user; never with the password.
    """
    try:
        return dg.DagsterInstance.from_config(str(settings.dagster_home))
    except Exception as error:
        cause = error.__cause__ or error  # not caught by dagster-postgres's own name: its import costs a second
        if settings.dagster_postgres_url is None or not isinstance(cause, SQLAlchemyError):
            raise
        reason = _NAMED_USER.sub(r"\1 (not shown)", str(cause).strip().partition("\n")[0])
        msg = (
            f"Dagster's storage, the PostgreSQL of DAGSTER_POSTGRES_URL, cannot be used: {reason}. See that the server runs, "
            "and that host, port, database, user and password are right."
        )
        raise ServerUnavailableError(msg) from None  # what SQLAlchemy says may quote more than a person should see


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
        yield Platform(settings, folder, connections)
