"""Real servers that tests kill and start again, and real processes that tick and run, each ready in a moment.

Children come from a fork server that has loaded everything, so each costs a tenth of a second instead of three.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
from pymongo import MongoClient

from resources.embedded.programs import Program, embedded_programs, find_mongod
from resources.embedded.server_process import Server, free_port
from resources.settings import PROJECT_ROOT
from tests.faults import child
from tests.faults.injection import Injection
from tests.faults.s3_proxy import S3Proxy

ACCESS_KEY, SECRET_KEY = "faultsfaultsfaults00", "faultsfaultsfaultsfaultsfaultsfaults0000"
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

children = multiprocessing.get_context("forkserver")
children.set_forkserver_preload([child.__name__])


class Servers:
    """A mongod and an S3 server over one folder, which their supervisor starts again whenever one has died.

    Parameters
    ----------
    home : Path
        Where they keep their data.
    """

    def __init__(self, home: Path) -> None:
        for name in ("mongo", "s3", "logs"):
            (home / name).mkdir(parents=True, exist_ok=True)
        programs = embedded_programs(home, access_key=ACCESS_KEY, secret_key=SECRET_KEY)[:2]
        self.mongo, self.s3 = (Server(program, home=home, port=free_port()) for program in programs)
        self.home = home
        for server in (self.mongo, self.s3):
            server.start()
        for server in (self.mongo, self.s3):
            server.wait_until_ready()

    def restart_what_died(self) -> None:
        """Do what the supervisor of the embedded servers, or systemd, does."""
        for server in (self.mongo, self.s3):
            if server.has_ended() and server.restart_if_ended():
                server.wait_until_ready()

    def stop(self) -> None:
        """End them."""
        for server in (self.mongo, self.s3):
            server.ask_to_stop()
        for server in (self.mongo, self.s3):
            server.wait_until_ended()


class OpenS3:
    """An S3 server without keys, which therefore does not check the time of a signature.

    Parameters
    ----------
    home : Path
        Where it keeps its data.
    bucket : str
        Name of its only bucket.
    """

    def __init__(self, home: Path, bucket: str) -> None:
        for name in (f"s3/{bucket}", "logs"):
            (home / name).mkdir(parents=True)
        program = embedded_programs(home, access_key=ACCESS_KEY, secret_key=SECRET_KEY)[1]
        environment = {k: v for k, v in program.environment.items() if k != "RCLONE_AUTH_KEY"}
        self.server = Server(replace(program, environment=environment), home=home, port=free_port())
        self.server.start()
        self.server.wait_until_ready()
        self.proxy = S3Proxy(self.server.port, Injection(), without=frozenset({"x-amz-date"}))

    @property
    def endpoint(self) -> str:
        """Its address."""
        return self.proxy.endpoint

    def stop(self) -> None:
        """End it."""
        self.proxy.close()
        self.server.ask_to_stop()
        self.server.wait_until_ended()


class ReplicaSet:
    """Three mongods that elect their primary.

    Parameters
    ----------
    home : Path
        Where they keep their data.
    """

    def __init__(self, home: Path) -> None:
        self.servers = [self._member(home / str(number)) for number in range(3)]
        self.hosts = [f"127.0.0.1:{server.port}" for server in self.servers]
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_until_ready()

    @property
    def uri(self) -> str:
        """Address of the whole set."""
        return f"mongodb://{','.join(self.hosts)}/?replicaSet=faults"

    def _member(self, home: Path) -> Server:
        """Prepare one member."""
        for name in ("data", "logs"):
            (home / name).mkdir(parents=True)
        words = [str(find_mongod()), "--dbpath", str(home / "data"), "--bind_ip", "127.0.0.1", "--port", "{port}"]
        words += ["--nounixsocket", "--quiet", "--replSet", "faults", "--oplogSize", "64"]
        words += ["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"]
        program = Program("mongo", tuple(words), {"HOME": str(home), "PATH": "/usr/bin:/bin"})
        return Server(program, home=home, port=free_port())

    def at(self, host: str) -> Server:
        """Return the member that listens at an address."""
        return self.servers[self.hosts.index(host)]

    def stop(self) -> None:
        """Kill them: a member that is stopped waits until the others have elected another primary."""
        for server in self.servers:
            with suppress(ProcessLookupError):
                os.kill(server.pid, signal.SIGKILL)
            server.wait_until_ended()


@contextmanager
def replica_set(home: Path, **settings: int) -> Iterator[tuple[ReplicaSet, MongoClient]]:
    """Start a replica set of three; gives it and a client of the whole set. A primary is elected within seconds.

    Parameters
    ----------
    home : Path
        Where the members keep their data.
    **settings : int
        Settings of the election; see ``replSetInitiate``.
    """
    found = ReplicaSet(home)
    members = [{"_id": number, "host": host} for number, host in enumerate(found.hosts)]
    try:
        with MongoClient(f"mongodb://{found.hosts[0]}/?directConnection=true") as first:
            first.admin.command("replSetInitiate", {"_id": "faults", "members": members, "settings": settings})
        with MongoClient(found.uri) as client:
            yield found, client
    finally:
        found.stop()


def start(task, environment, **said):
    """Start a child that does one of the tasks of `tests.faults.child`."""
    process = children.Process(target=child.main, args=(task.__name__, environment, said))
    process.start()
    return process


def start_with_wrong_clock(task, environment, *, hours, **said):
    """Start a child whose clock is wrong, in a fresh interpreter because a library must be loaded first."""
    words = [sys.executable, "-m", child.__name__, json.dumps([task.__name__, environment, said])]
    clock = {"LD_PRELOAD": str(_FAKETIME), "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return subprocess.Popen(words, cwd=PROJECT_ROOT, env={**os.environ, **clock})


def can_have_wrong_clock() -> bool:
    """Return whether its library is installed."""
    return _FAKETIME.is_file()


def kill_family(pid):
    """Kill a process and everything that it started."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in [*process.children(recursive=True), process]:
            with suppress(psutil.Error):
                member.kill()
