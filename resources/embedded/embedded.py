"""The embedded servers of one folder: who runs them, where they listen, and how to use them for a while.

A real ``mongod`` and a real S3 server (``rclone``) serve everything where no other address is configured, and a
read-only web server makes the results browsable. They listen on the loopback interface alone.

One supervisor process for each folder owns them (`resources.embedded.supervisor`). It starts with the first user, restarts a
server that dies, and stops when the last user is gone, in whatever way that user ended: every user holds a lock on a
file of its own, which the operating system releases. Files in the folder:

::

    lock            locked by the supervisor, so two never open one data folder
    users/          one locked file for each process that needs the servers
    servers.json    addresses, keys and process ids, only while the servers run (mode 0600)
    ports.json      remembered, so that links survive a restart
    keys.json       the S3 key pair (mode 0600)
    mongo/  s3/     the data          logs/  what the servers say
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
    """Where the embedded servers of one folder listen, and the key pair of their S3.

    Attributes
    ----------
    docdb_uri : str
        Address of MongoDB; it asks for journaled writes, so what was acknowledged survives a killed server.
    s3_endpoint : str
        Address of the S3 server.
    browse_url : str
        Address of the read-only web server over the same buckets.
    access_key, secret_key : str
        Key pair of the S3 server.
    """

    docdb_uri: str
    s3_endpoint: str
    browse_url: str
    access_key: str
    secret_key: str = field(repr=False)


def running(home: Path, *, restart_s: float = 10.0) -> ServerAddresses | None:
    """Return the addresses of the servers that run for a folder, after asking whether they really answer.

    A server that its supervisor is just restarting is waited for.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers (``ANALYSIS_HOME``).
    restart_s : float
        How long a server of a living supervisor may be silent (s): it is being restarted.

    Returns
    -------
    ServerAddresses or None
        None when nothing runs, or what runs is not (or no longer) ready.
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
    """Return the addresses of the servers that run for a folder, asked for once and remembered while they stay.

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
def _addresses_as_written(home: str, written: int) -> ServerAddresses:  # noqa: ARG001 - the time is part of the key
    """Ask whether a folder's servers answer, again whenever their supervisor has written their addresses anew."""
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
    """Use the embedded servers of a folder; start them when they do not run yet.

    They stop when their last user leaves. A user may leave by being killed: no server outlives its users.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers (``ANALYSIS_HOME``); made when missing. It needs a local disk.
    start_s : float
        How long the servers may take to start (s).

    Yields
    ------
    ServerAddresses
        Where the servers listen.

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
    """Return the process ids of ``mongo``, ``s3``, ``browse`` and their ``supervisor``; empty when none run."""
    state = read_state(home)
    return {} if state is None else dict(state["pids"])


def supervised(home: Path) -> bool:
    """Tell whether a living supervisor owns the folder: it holds the folder's lock."""
    try:
        with (home / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False


def users(home: Path) -> list[Path]:
    """Return the files of the folder's users, those of users that have ended included."""
    try:
        return list((home / "users").iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_state(home: Path) -> dict[str, Any] | None:
    """Return what the supervisor wrote about its servers; None when there is nothing, or nothing readable."""
    try:
        state = json.loads((home / "servers.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return state if isinstance(state, dict) and {"addresses", "pids"} <= state.keys() else None


def write_state(home: Path, addresses: ServerAddresses, pids: Mapping[str, int]) -> None:
    """Write what `read_state` reads."""
    write_private(home / "servers.json", json.dumps({"addresses": asdict(addresses), "pids": dict(pids)}, indent=2))


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner alone."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


@contextmanager
def registered_user(home: Path) -> Iterator[None]:
    """Hold a locked file in ``users/``: as long as it is locked, the supervisor keeps its servers.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers; made when missing.

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
    """Start the folder's supervisor and return the addresses once every server answers."""
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
    """Make the error that a supervisor answered with.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers.
    answer : str
        Its standard output: the name of an error and its message, or nothing.
    errors : str
        Its standard error.
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
    """Tell whether something accepts connections at an address."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1):
            return True
    except OSError:
        return False
