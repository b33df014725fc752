"""The embedded servers of a folder: their addresses, and a context to use them.

A real ``mongod`` and a real S3 server (``rclone``) are used where no other address is configured, and a read-only web
server makes the results browsable. They only listen on the loopback interface.

One supervisor process for each folder owns them (`resources.embedded.supervisor`). It starts with the first user,
restarts a server that dies, and stops after the last user has ended, even if it was killed: every user holds a lock on
its own file, which the operating system releases. Files in the folder:

::

    lock            locked by the supervisor, so two never open one data folder
    users/          one locked file for each process that needs the servers
    servers.json    addresses, keys and process ids, only while the servers run (mode 0600)
    ports.json      ports of the last start, so that links survive a restart
    keys.json       the S3 key pair (mode 0600)
    mongo/  s3/     the data          logs/  logs of the servers
"""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from domain.errors import PlatformError, ServerUnavailableError, SettingsError

_STOP_S = 40.0
_POLL_S = 0.02


@dataclass(frozen=True)
class ServerAddresses:
    """The addresses of the embedded servers of a folder, and the key pair of their S3.

    Attributes
    ----------
    docdb_uri : str
        URL of MongoDB with journaled writes, so that acknowledged writes survive a killed server.
    s3_endpoint : str
        URL of the S3 server.
    browse_url : str
        URL of the read-only web server for the same buckets.
    access_key, secret_key : str
        Key pair of the S3 server.
    """

    docdb_uri: str
    s3_endpoint: str
    browse_url: str
    access_key: str
    secret_key: str = field(repr=False)


def running(home: Path, *, restart_s: float = 10.0) -> ServerAddresses | None:
    """Return the addresses of a folder's running servers, after checking that they answer.

    It waits for a server that its supervisor is restarting.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers (``ANALYSIS_HOME``).
    restart_s : float
        Time for a server of a running supervisor to restart (s).

    Returns
    -------
    ServerAddresses or None
        None if no servers run, or they are not ready.
    """
    deadline = time.monotonic() + restart_s
    while supervised(home) and time.monotonic() < deadline:
        state = read_state(home)
        if state is None:
            return None
        addresses = ServerAddresses(**{f.name: state["addresses"][f.name] for f in fields(ServerAddresses)})
        if all(_answers(url) for url in (addresses.docdb_uri, addresses.s3_endpoint, addresses.browse_url)):
            return addresses
        time.sleep(_POLL_S)
    return None


def addresses_of(home: str) -> ServerAddresses:
    """Return the addresses of a folder's running servers, cached until they change.

    Parameters
    ----------
    home : str
        The folder of the embedded servers (``ANALYSIS_HOME``).

    Raises
    ------
    ServerUnavailableError
        If they do not run.
    """
    try:
        written = (Path(home) / "servers.json").stat().st_mtime_ns
    except OSError:
        written = 0
    return _addresses_as_written(home, written)


@lru_cache(maxsize=16)
def _addresses_as_written(home: str, written: int) -> ServerAddresses:  # noqa: ARG001 - part of the cache key
    """Check whether a folder's servers answer; repeated after their supervisor has written new addresses."""
    addresses = running(Path(home))
    if addresses is None:
        msg = (
            f"The embedded servers of {home} are not running. Start them with `make dev`, or use your own: set DOCDB_URI "
            "for MongoDB, and ANALYSIS_BUCKET (with AWS_ENDPOINT_URL, if it is not AWS) for S3."
        )
        raise ServerUnavailableError(msg)
    return addresses


@contextmanager
def serving(home: Path, *, start_s: float = 60.0) -> Iterator[ServerAddresses]:
    """Use the embedded servers of a folder; start them if they do not run.

    They stop after their last user has ended, even if it was killed: no server outlives its users.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers (``ANALYSIS_HOME``), which is created if missing. It needs a local disk.
    start_s : float
        Time for the servers to start (s).

    Yields
    ------
    ServerAddresses
        Addresses of the servers.

    Raises
    ------
    SettingsError
        If the folder or the server programs cannot be used on this machine.
    ServerUnavailableError
        If a server does not start.
    """
    home = home.resolve()
    try:
        with registered_user(home):
            yield running(home) or _started(home, start_s)
    finally:
        _wait_until_stopped(home)


def server_pids(home: Path) -> dict[str, int]:
    """Return the process ids of ``mongo``, ``s3``, ``browse`` and their ``supervisor``; empty if none run."""
    state = read_state(home)
    return {} if state is None else dict(state["pids"])


def supervised(home: Path) -> bool:
    """Return whether a running supervisor owns the folder: it holds the folder's lock."""
    try:
        with (home / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False


def users(home: Path) -> list[Path]:
    """Return the files of the folder's users, including those of ended users."""
    try:
        return list((home / "users").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_state(home: Path) -> dict[str, Any] | None:
    """Return the state file of the supervisor; None if it is missing or unreadable."""
    try:
        state = json.loads((home / "servers.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return state if isinstance(state, dict) and {"addresses", "pids"} <= state.keys() else None


def write_state(home: Path, addresses: ServerAddresses, pids: Mapping[str, int]) -> None:
    """Write the state file for `read_state`."""
    write_private(home / "servers.json", json.dumps({"addresses": asdict(addresses), "pids": dict(pids)}, indent=2))


def write_private(path: Path, text: str) -> None:
    """Write a file atomically, readable only by its owner."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


@contextmanager
def registered_user(home: Path) -> Iterator[None]:
    """Hold a locked file in ``users/``: while it is locked, the supervisor keeps its servers.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers, which is created if missing.

    Raises
    ------
    SettingsError
        If the folder cannot be used.
    """
    path = home / "users" / f"{os.getpid()}-{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError as error:
        msg = f"The folder {home} cannot hold the embedded servers: {error}. Set ANALYSIS_HOME to a folder of yours."
        raise SettingsError(msg) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            path.unlink(missing_ok=True)


def _started(home: Path, start_s: float) -> ServerAddresses:
    """Start the folder's supervisor, and return the addresses when all servers answer."""
    command = [sys.executable, "-m", "resources.embedded.supervisor", str(home)]
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, with a path
            command,
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=start_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"The embedded servers of {home} did not start within {start_s:.0f} s: see {home / 'logs'}."
        raise ServerUnavailableError(msg) from error
    if done.returncode:
        raise start_error(home, done.stdout, done.stderr)
    addresses = running(home)
    if addresses is None:
        msg = f"The embedded servers of {home} started and ended again: see {home / 'logs'}."
        raise ServerUnavailableError(msg)
    return addresses


def start_error(home: Path, answer: str, errors: str) -> PlatformError:
    """Return the error of a supervisor that did not start.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers.
    answer : str
        Its standard output: the name of an error and its message, or nothing.
    errors : str
        Its standard error, used if `answer` is empty.
    """
    kind, _, message = answer.partition(": ")
    if kind == SettingsError.__name__:
        return SettingsError(message)
    if kind == ServerUnavailableError.__name__:
        return ServerUnavailableError(message)
    last = " ".join((errors or answer).split())[-500:] or "it reported nothing"
    return ServerUnavailableError(f"The supervisor of {home} ended: {last}. See {home / 'logs'}.")


def _wait_until_stopped(home: Path) -> None:
    """Wait for the supervisor to end, unless others use its servers."""
    deadline = time.monotonic() + _STOP_S
    while supervised(home) and not users(home) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _answers(url: str) -> bool:
    """Return whether a server accepts connections at an address."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1):
            return True
    except OSError:
        return False
