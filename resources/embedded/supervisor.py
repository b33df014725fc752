"""The process that owns the embedded servers of one folder: ``python -m resources.embedded.supervisor <home>``.

It holds the folder's lock, starts the servers from its main thread, restarts a dead server on the same port, and
stops them, MongoDB cleanly, when the folder has no users. On Linux the kernel also stops the servers if the
supervisor itself is killed; elsewhere the next supervisor stops leftover servers.
"""

import fcntl
import json
import os
import secrets
import signal
import string
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from domain.errors import PlatformError, ServerUnavailableError, SettingsError
from resources.embedded import embedded
from resources.embedded.programs import embedded_programs
from resources.embedded.server_process import Server, free_port, is_free

POLL_S = 0.1
_YOUNG_S = 1.0  # a user's file may exist for a moment before it is locked


def has_users(home: Path) -> bool:
    """Return whether a running process uses the folder; remove the files of ended ones.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers.
    """
    return bool([path for path in embedded.users(home) if is_alive(path)])


def is_alive(user: Path) -> bool:
    """Return whether the process of a user's file still holds its lock; if not, remove the file.

    Parameters
    ----------
    user : Path
        File of one process in ``users/``.
    """
    try:
        with user.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < _YOUNG_S:
                return True
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    user.unlink(missing_ok=True)
    return False


def supervise(
    home: Path,
    *,
    ready: Callable[[], None],
    stop: threading.Event,
    in_use: Callable[[Path], bool] = has_users,
    lock_s: float = 45.0,
) -> None:
    """Run the servers of a folder until it has no users, or `stop` is set.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers.
    ready : callable
        Called once, when the servers answer: its own, or those of another supervisor.
    stop : threading.Event
        Event that ends the supervision early.
    in_use : callable
        Returns whether the folder has users.
    lock_s : float
        Time to wait for the folder's lock (s), longer than a predecessor takes to stop its servers.

    Raises
    ------
    SettingsError
        If a server program is missing, or the folder cannot be locked.
    ServerUnavailableError
        If a server does not start.
    """
    with _folder_lock(home, lock_s) as owned:
        if owned:
            end_leftovers(home)
            with _servers(home) as servers:
                ready()
                _watch(home, servers=servers, stop=stop, in_use=in_use)
    if not owned:
        ready()


def main(home: Path) -> int:
    """Run the supervisor in the background; return when its servers answer.

    The background process is detached from its caller, so that it only depends on its users.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers.

    Returns
    -------
    int
        0 if the servers answer. Otherwise the name of the error and its message are on standard output.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader) as pipe:
            answer = pipe.read()
        sys.stdout.write(answer)
        return 0 if answer == "ready" else 1
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        _run_in_background(home, pipe)
    return 0


def _run_in_background(home: Path, pipe: IO[str]) -> None:
    """Detach from the caller's terminal, and report the outcome of the start through the pipe."""
    os.setsid()
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with (home / "logs" / "supervisor.log").open("ab") as log, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def ready() -> None:
        """Report that the servers answer."""
        pipe.write("ready")
        pipe.close()

    try:
        supervise(home, ready=ready, stop=stop)
    except PlatformError as error:
        if pipe.closed:
            raise
        pipe.write(f"{type(error).__name__}: {error}")


@contextmanager
def _folder_lock(home: Path, lock_s: float) -> Iterator[bool]:
    """Hold the folder's lock; yield False if another supervisor has it and its servers answer."""
    deadline = time.monotonic() + lock_s
    with (home / "lock").open("ab") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if embedded.running(home) is not None:
                    yield False
                    return
            except OSError as error:
                msg = f"The folder {home} cannot be locked: {error}. Set ANALYSIS_HOME to a folder on a local disk."
                raise SettingsError(msg) from error
            else:
                yield True
                return
            if time.monotonic() > deadline:
                msg = (
                    f"Another process owns the embedded servers of {home}, and they do not answer: see {home / 'logs'}."
                )
                raise ServerUnavailableError(msg)
            time.sleep(0.02)


@contextmanager
def _servers(home: Path) -> Iterator[list[Server]]:
    """Run the three servers for the duration of a block."""
    for name in ("mongo", "s3", "logs"):
        (home / name).mkdir(mode=0o700, exist_ok=True)
    access_key, secret_key = _keys(home)
    ports = _ports(home)
    programs = embedded_programs(home, access_key=access_key, secret_key=secret_key)
    servers = [Server(program, home=home, port=ports[program.name]) for program in programs]
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_until_ready()
        embedded.write_private(home / "ports.json", json.dumps({s.program.name: s.port for s in servers}))
        _announce(home, servers)
        yield servers
    finally:
        (home / "servers.json").unlink(missing_ok=True)
        for server in servers:
            server.ask_to_stop()
        for server in servers:
            server.wait_until_ended()


def _watch(home: Path, *, servers: list[Server], stop: threading.Event, in_use: Callable[[Path], bool]) -> None:
    """Restart dead servers until the folder has no users."""
    while not stop.wait(POLL_S):
        restarted = [server for server in servers if server.restart_if_ended()]
        if restarted:
            _announce(home, servers)
        if not in_use(home):
            # A new user must either be seen here, or find no addresses and wait for the lock.
            (home / "servers.json").unlink(missing_ok=True)
            if not in_use(home):
                return
            _announce(home, servers)


def _announce(home: Path, servers: list[Server]) -> None:
    """Write the addresses for users of the folder."""
    access_key, secret_key = _keys(home)
    port = {server.program.name: server.port for server in servers}
    addresses = embedded.ServerAddresses(
        docdb_uri=f"mongodb://127.0.0.1:{port['mongo']}/?directConnection=true&journal=true",
        s3_endpoint=f"http://127.0.0.1:{port['s3']}",
        browse_url=f"http://127.0.0.1:{port['browse']}",
        access_key=access_key,
        secret_key=secret_key,
    )
    pids = {server.program.name: server.pid for server in servers} | {"supervisor": os.getpid()}
    embedded.write_state(home, addresses, pids)


def _keys(home: Path) -> tuple[str, str]:
    """Return the folder's S3 key pair, which is generated at the first start."""
    path = home / "keys.json"
    if not path.exists():
        letters = string.ascii_letters + string.digits
        pair = ["".join(secrets.choice(letters) for _ in range(length)) for length in (20, 40)]
        embedded.write_private(path, json.dumps(pair))
    access_key, secret_key = json.loads(path.read_bytes())
    return access_key, secret_key


def _ports(home: Path) -> dict[str, int]:
    """Return a free port for each server: the port of the last start if it is free."""
    try:
        remembered = json.loads((home / "ports.json").read_bytes())
    except (FileNotFoundError, ValueError):
        remembered = {}
    ports: dict[str, int] = {}
    for name in ("mongo", "s3", "browse"):
        port = remembered.get(name)
        usable = isinstance(port, int) and port not in ports.values() and is_free(port)
        ports[name] = port if usable else free_port()
    return ports


def end_leftovers(home: Path, *, stop_s: float = 30.0) -> None:
    """Stop the servers of a killed supervisor, which would block the data folder.

    Parameters
    ----------
    home : Path
        The folder of the embedded servers.
    stop_s : float
        Time for each server to stop (s); then it is killed.
    """
    for pid in embedded.server_pids(home).values():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(pid)
            if not any(str(home) in argument for argument in process.cmdline()):
                continue  # the id belongs to another process by now
            process.terminate()
            try:
                process.wait(stop_s)
            except psutil.TimeoutExpired:
                process.kill()
    (home / "servers.json").unlink(missing_ok=True)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
