"""The lock of the only Dagster daemon: of a folder, and of a PostgreSQL database that other hosts use too.

Two daemons on one storage launch each run twice.
"""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from domain.errors import SettingsError
from operations.platform import storage_error
from resources.folders import writable_folder
from resources.process import host_name
from resources.settings import Settings

_KEY = 0x616E616C79736973
"""Key of the advisory lock: the word ``analysis`` in ASCII. Each database has its own locks."""

_NAME = "analysis-assets daemon on "
_HOLDERS = """
SELECT activity.application_name, activity.backend_start FROM pg_locks AS locks JOIN pg_stat_activity AS activity USING (pid)
WHERE locks.locktype = 'advisory' AND locks.granted AND locks.classid = :high AND locks.objid = :low AND locks.objsubid = 1
AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class DaemonLock:
    """The lock of the only daemon; use `only_one_daemon`.

    The lock in PostgreSQL belongs to a connection (``pg_try_advisory_lock``), so that it is free as soon as the host that
    holds it is gone.

    Parameters
    ----------
    settings : Settings
        Folder, and database of Dagster's storage.
    """

    def __init__(self, settings: Settings) -> None:
        self._file = writable_folder(settings.analysis_home, setting="ANALYSIS_HOME") / "daemon.lock"
        self._home, self._url = settings.analysis_home, settings.dagster_postgres_url
        self._open = ExitStack()
        self._connection: Connection | None = None

    def acquire(self) -> str | None:
        """Take the lock; return who holds it instead, or None.

        Raises
        ------
        ServerUnavailableError
            If PostgreSQL does not answer.
        """
        if not _lock_file(self._open.enter_context(self._file.open("w", encoding="ascii"))):
            return f"Another `analysis dev`, `analysis daemon` or `analysis demo` runs over {self._home}"
        if self._url is None:
            return None
        try:
            return self._lock_database(self._url.get_secret_value())
        except SQLAlchemyError as error:
            raise storage_error(error) from None  # a message of SQLAlchemy may quote the password

    def check(self) -> None:
        """Raise if another daemon has taken the lock after PostgreSQL had lost this connection.

        While PostgreSQL does not answer, the lock counts as held: no daemon can work.

        Raises
        ------
        SettingsError
            If another daemon holds the lock now.
        """
        if self._url is None or self._connection is None:
            return
        holder = None
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            try:
                holder = self._lock_database(self._url.get_secret_value())
            except SQLAlchemyError:
                return
        if holder is not None:
            raise taken(holder)

    def release(self) -> None:
        """Release the lock."""
        self._open.close()

    def _lock_database(self, url: str) -> str | None:
        """Lock the database by a new connection; return the holder if there is one."""
        named = {"application_name": f"{_NAME}{host_name()}"[:63], "keepalives_idle": 30, "connect_timeout": 10}
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=named)
        connection = self._open.enter_context(engine.connect())
        if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}).scalar():
            self._connection = connection
            return None
        parts = {"high": _KEY >> 32, "low": _KEY & 0xFFFFFFFF}
        found = connection.execute(text(_HOLDERS), parts).first()
        where, since = (found.application_name, f" since {found.backend_start:%Y-%m-%d %H:%M}") if found else ("", "")
        host = where.removeprefix(_NAME) or "another host"
        return f"Another daemon on {host} uses the database of DAGSTER_POSTGRES_URL{since}"


@contextmanager
def only_one_daemon(settings: Settings) -> Iterator[DaemonLock | None]:
    """Hold the lock of the only Dagster daemon of this folder, and of its PostgreSQL.

    Yields
    ------
    DaemonLock or None
        None if another daemon runs.

    Raises
    ------
    ServerUnavailableError
        If PostgreSQL does not answer.
    """
    lock = DaemonLock(settings)
    try:
        yield lock if lock.acquire() is None else None
    finally:
        lock.release()


@contextmanager
def the_only_daemon(settings: Settings) -> Iterator[DaemonLock]:
    """Hold the lock of the only Dagster daemon.

    Raises
    ------
    SettingsError
        If another daemon runs; the message says where.
    ServerUnavailableError
        If PostgreSQL does not answer.
    """
    lock = DaemonLock(settings)
    try:
        if (holder := lock.acquire()) is not None:
            raise taken(holder)
        yield lock
    finally:
        lock.release()


def taken(holder: str) -> SettingsError:
    """Return the error for a second daemon.

    Parameters
    ----------
    holder : str
        Who holds the lock, as a sentence without its end.
    """
    return SettingsError(f"{holder}: use it, or end it first. Two daemons would launch each run twice.")


def _lock_file(file: TextIO) -> bool:
    """Lock a file without waiting; return False if another process holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
