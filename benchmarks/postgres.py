"""A real PostgreSQL of one's own: Debian's programs over a fresh folder, on a free port of the loopback interface.

The server refuses to run as root, so root runs it as Debian's user ``postgres``, or as ``nobody``.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2

from cli.dagster_processes import free_port
from domain.errors import ServerUnavailableError
from resources.process import parent_death_signal

_USER = "bench"
_START_S = 60
_ASK_FOR_END = parent_death_signal(signal.SIGINT)


def programs() -> Path | None:
    """Return the folder with PostgreSQL's server programs, the newest first; None where there are none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    found = [*debian, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((folder for folder in found if (folder / "postgres").exists()), None)


@contextmanager
def private_postgres() -> Iterator[str]:
    """Run a server for as long as the context lasts.

    Yields
    ------
    str
        Address of its first database, with user and password; `new_database` makes others.
    """
    found = programs()
    if found is None:
        msg = "There is no PostgreSQL: install it (Debian: apt-get install postgresql), or set DAGSTER_POSTGRES_URL."
        raise ServerUnavailableError(msg)
    with _folder() as folder:
        password, port = secrets.token_hex(16), free_port(0)
        _initialize(found, folder, password)
        url = f"postgresql://{_USER}:{password}@127.0.0.1:{port}/postgres"
        process = _started(found, folder, port)
        try:
            _wait_until_it_answers(url, process, folder)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_START_S)


def new_database(url: str) -> str:
    """Make an empty database on a server and return its address."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
    server, separator, options = url.partition("?")
    return f"{server.rpartition('/')[0]}/{name}{separator}{options}"


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder that the server's user owns; its parents must be open to that user, so it is no test's folder."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if os.getuid() == 0:
        user = pwd.getpwnam(_server_user())
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _server_user() -> str:
    """Name the user that runs the server when root asks for it."""
    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


def _as_server() -> dict[str, Any]:
    """Return what a subprocess needs to run as the server's user; nothing, unless root asks."""
    return {"user": _server_user(), "group": pwd.getpwnam(_server_user()).pw_gid} if os.getuid() == 0 else {}


def _initialize(found: Path, folder: Path, password: str) -> None:
    """Make the data folder, with one user who needs a password."""
    secret = folder / "password"
    secret.write_text(password, encoding="ascii")
    if os.getuid() == 0:
        shutil.chown(secret, _server_user())
    words = ["-U", _USER, "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync"]
    command = [found / "initdb", "-D", folder / "data", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **_as_server())
    secret.unlink()
    if done.returncode:
        msg = f"initdb of {found} could not make {folder / 'data'}: {done.stderr.strip()}"
        raise ServerUnavailableError(msg)


def _started(found: Path, folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the server; it ends with this process, however that ends."""
    words = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "max_connections=200"]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [found / "postgres", "-D", folder / "data", *words],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_ASK_FOR_END,  # noqa: PLW1509  one system call
            **_as_server(),
        )


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until one can log in."""
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(psycopg2.OperationalError):
            psycopg2.connect(url, connect_timeout=5).close()
            return
        time.sleep(0.05)
    process.kill()
    msg = f"PostgreSQL did not start within {_START_S} s. Its log: {(folder / 'log').read_text()[-2000:]}"
    raise ServerUnavailableError(msg)
