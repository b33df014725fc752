"""The process of one embedded server: starts it, waits until it listens, restarts it, stops it."""

import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from domain.errors import ServerUnavailableError
from resources.embedded.programs import Program, lacks_libcurl, start_advice, with_bundled_libcurl
from resources.process import parent_death_signal

_MAX_STARTS = 4


@dataclass(frozen=True)
class Patience:
    """Time limits for a server process.

    Attributes
    ----------
    ready_s : float
        Time until it listens (s).
    stop_s : float
        Time to stop after the signal (s); then it is killed.
    restart_s : float
        Minimum interval between restarts of a server that dies (s).
    log_bytes : int
        Size from which a log is rotated at the next start.
    """

    ready_s: float = 30.0
    stop_s: float = 30.0
    restart_s: float = 1.0
    log_bytes: int = 10 * 1024 * 1024


PATIENCE = Patience()
"""Time limits of the platform."""


class Server:
    """One server process and its log.

    Parameters
    ----------
    program : Program
        Command and environment of the server.
    home : Path
        The folder of the embedded servers.
    port : int
        The port to listen on; another one if it is in use at the first start.
    patience : Patience
        Time limits and maximum size of the log.
    """

    def __init__(self, program: Program, *, home: Path, port: int, patience: Patience = PATIENCE) -> None:
        self.program = program
        self.port = port
        self._home, self._patience = home, patience
        self._log = home / "logs" / f"{program.name}.log"
        self._log_start = 0
        self._started = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id; 0 before the first start."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; `wait_until_ready` waits until it listens."""
        if self._log.exists() and self._log.stat().st_size > self._patience.log_bytes:
            self._log.replace(self._log.with_suffix(".log.1"))
        self._started = time.monotonic()
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - the platform's own commands
                self.program.command(self.port),
                env=self.program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=parent_death_signal(signal.SIGTERM),  # noqa: PLW1509 - this process has one thread
            )

    def wait_until_ready(self) -> None:
        """Wait until the server listens; handle a port in use and a missing libcurl.

        Raises
        ------
        ServerUnavailableError
            If it ends or does not listen in time. The message has the last lines of its log.
        """
        for _ in range(_MAX_STARTS):
            if self._listens_in_time():
                return
            if not self.has_ended() or not self._overcome():
                break
            self.start()
        lines = self._last_words()
        msg = (
            f"The embedded server `{self.program.name}` of {self._home} did not start on port {self.port}. "
            f"{start_advice(self.program.name, lines)}. It reported: {lines or 'nothing'} (more in {self._log})"
        )
        raise ServerUnavailableError(msg)

    def has_ended(self) -> bool:
        """Return whether the process has ended."""
        return self._process is None or self._process.poll() is not None

    def restart_if_ended(self) -> bool:
        """Restart the server on its port if its process has ended; return whether it was restarted."""
        if not self.has_ended() or time.monotonic() - self._started < self._patience.restart_s:
            return False
        self.start()
        return True

    def ask_to_stop(self) -> None:
        """Send the signal for a clean shutdown."""
        if self._process is not None:
            self._process.terminate()

    def wait_until_ended(self) -> None:
        """Wait until a server has stopped; kill it after the time limit."""
        if self._process is None:
            return
        try:
            self._process.wait(self._patience.stop_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listens_in_time(self) -> bool:
        """Wait until this process itself listens on the port; False if it has ended, or after the time limit."""
        deadline = time.monotonic() + self._patience.ready_s
        while not self.has_ended() and time.monotonic() < deadline:
            if listens(self.pid, self.port):
                return True
            time.sleep(0.01)
        return False

    def _overcome(self) -> bool:
        """Fix a known cause of a failed start; return whether to try again."""
        if not is_free(self.port):
            self.port = free_port()
            return True
        changed = with_bundled_libcurl(self.program, self._home) if lacks_libcurl(self._last_words()) else None
        self.program = changed or self.program
        return changed is not None

    def _last_words(self) -> str:
        """Return the last log lines since the start, marked errors first."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        errors = [line for line in lines if '"s":"E"' in line or '"s":"F"' in line]
        return " | ".join(line[:400] for line in (errors or lines)[-4:])


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a server can listen on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def listens(pid: int, port: int) -> bool:
    """Return whether a process itself listens on a loopback port; another program on the port does not count.

    Parameters
    ----------
    pid : int
        Id of the process.
    port : int
        Port on the loopback interface.
    """
    with suppress(psutil.Error):
        sockets = psutil.Process(pid).net_connections(kind="tcp4")
        return any(s.status == psutil.CONN_LISTEN and s.laddr.port == port for s in sockets)
    return False
