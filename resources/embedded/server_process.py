"""One embedded server as a process: start it, wait until it listens, start it again, stop it."""

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
from resources.process import asker_for_end_with_parent

_MAX_STARTS = 4


@dataclass(frozen=True)
class Patience:
    """How long a server process is waited for.

    Attributes
    ----------
    ready_s : float
        How long it may take until it listens (s).
    stop_s : float
        How long it may take to end when it is asked to (s); then it is killed.
    restart_s : float
        One that dies at once is not started again more often than this (s).
    log_bytes : int
        A longer log is put aside at the next start.
    """

    ready_s: float = 30.0
    stop_s: float = 30.0
    restart_s: float = 1.0
    log_bytes: int = 10 * 1024 * 1024


PATIENCE = Patience()
"""How long the platform waits."""


class Server:
    """One server process and its log.

    Parameters
    ----------
    program : Program
        What to run.
    home : Path
        The folder of the embedded servers.
    port : int
        The port to listen on; another is taken when it turns out to be in use at the first start.
    patience : Patience
        How long it is waited for.
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
        """Start the process; `wait_until_ready` tells when it listens."""
        if self._log.exists() and self._log.stat().st_size > self._patience.log_bytes:
            self._log.replace(self._log.with_suffix(".log.1"))
        self._started = time.monotonic()
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - commands of our own
                self.program.command(self.port),
                env=self.program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=asker_for_end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - this process has one thread
            )

    def wait_until_ready(self) -> None:
        """Wait until the server listens; overcome a taken port and a missing libcurl.

        Raises
        ------
        ServerUnavailableError
            If it ends or stays silent. The message holds the last lines of its log.
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
        """Tell whether the process is gone."""
        return self._process is None or self._process.poll() is not None

    def restart_if_ended(self) -> bool:
        """Start the server again, on its port, if its process is gone; tell whether that was done."""
        if not self.has_ended() or time.monotonic() - self._started < self._patience.restart_s:
            return False
        self.start()
        return True

    def ask_to_stop(self) -> None:
        """Send the signal on which the server ends cleanly."""
        if self._process is not None:
            self._process.terminate()

    def wait_until_ended(self) -> None:
        """Wait for the end of a server that was asked to stop; kill it when it takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(self._patience.stop_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listens_in_time(self) -> bool:
        """Wait until this very process listens on the port; False when it has ended or is late."""
        deadline = time.monotonic() + self._patience.ready_s
        while not self.has_ended() and time.monotonic() < deadline:
            if listens(self.pid, self.port):
                return True
            time.sleep(0.01)
        return False

    def _overcome(self) -> bool:
        """Change what kept the server from starting, if that is known; tell whether to try again."""
        if not is_free(self.port):
            self.port = free_port()
            return True
        changed = with_bundled_libcurl(self.program, self._home) if lacks_libcurl(self._last_words()) else None
        self.program = changed or self.program
        return changed is not None

    def _last_words(self) -> str:
        """Return the end of what the server said since its last start, its errors first when it marks them."""
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
    """Tell whether a server could listen on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def listens(pid: int, port: int) -> bool:
    """Tell whether a process listens on a loopback port: some other program answering there does not count.

    Parameters
    ----------
    pid : int
        The process.
    port : int
        The port.
    """
    with suppress(psutil.Error):
        sockets = psutil.Process(pid).net_connections(kind="tcp4")
        return any(s.status == psutil.CONN_LISTEN and s.laddr.port == port for s in sockets)
    return False
