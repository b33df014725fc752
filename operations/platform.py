"""The platform as commands use it: settings, analyses, and connections to running servers."""

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
        Settings from the environment.
    folder : Path
        Folder of the analysis files.
    connections : Connections
        Clients of MongoDB and S3; each connects when it is used.
    """

    settings: Settings
    folder: Path
    connections: Connections

    @property
    def names(self) -> list[str]:
        """Names of the analyses, including those whose files cannot be loaded."""
        return list(analysis_files(self.folder))

    def entry(self, name: str) -> AnalysisEntry:
        """Return an analysis, loaded at the first call.

        Raises
        ------
        UnknownJobError
            If there is no analysis of this name; the message lists those that exist.
        AnalysisFileError
            If its file does not define an analysis.
        """
        return _loaded(name, self.folder)


@lru_cache(maxsize=64)
def _loaded(name: str, folder: Path) -> AnalysisEntry:
    """Load an analysis; each is loaded once per process."""
    return load_named(name, folder)


@contextmanager
def open_dagster(settings: Settings) -> Iterator[dg.DagsterInstance | None]:
    """Open Dagster's storage; yield None if `DAGSTER_HOME` does not exist yet."""
    if not (settings.dagster_home / "dagster.yaml").is_file():
        yield None
        return
    with open_storage(settings) as instance:
        yield instance


def open_storage(settings: Settings) -> dg.DagsterInstance:
    """Open Dagster's storage in the configured `DAGSTER_HOME`.

    Raises
    ------
    ServerUnavailableError
        If its PostgreSQL does not answer or rejects the user. The message never contains the password.
    """
    try:
        return dg.DagsterInstance.from_config(str(settings.dagster_home))
    except Exception as error:
        cause = error.__cause__ or error  # not caught by dagster-postgres's own name: its import costs a second
        if settings.dagster_postgres_url is None or not isinstance(cause, SQLAlchemyError):
            raise
        raise storage_error(cause) from None  # a message of SQLAlchemy may quote the password


def storage_error(cause: BaseException) -> ServerUnavailableError:
    """Return the error for a PostgreSQL of Dagster's storage that cannot be used, without its URL.

    Parameters
    ----------
    cause : Exception
        The error of SQLAlchemy.
    """
    reason = _NAMED_USER.sub(r"\1 (not shown)", str(cause).strip().partition("\n")[0])
    return ServerUnavailableError(
        f"Dagster's storage, the PostgreSQL of DAGSTER_POSTGRES_URL, cannot be used: {reason}. See that the server runs, "
        "and that host, port, database, user and password are right."
    )


@contextmanager
def open_platform(settings: Settings | None = None, *, folder: Path = ANALYSES_FOLDER) -> Iterator[Platform]:
    """Open the platform. Embedded servers, if used, run at least as long as the context.

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
