"""`analysis dev` and `analysis daemon`: run the platform on this machine until they are interrupted."""

import subprocess
from collections.abc import Callable
from contextlib import suppress

from cli.dagster_processes import dagster_process, free_port, interruptible
from operations.daemon_lock import DaemonLock, the_only_daemon
from operations.platform import open_platform
from resources.extras import require
from resources.settings import load_settings

_SUPERSEDED = "ignore:Function `dev_command` is superseded"
_LOCK_CHECK_S = 10.0


def dev(*, port: int, say: Callable[[str], None]) -> int:
    """Run Dagster with its UI, and embedded servers where no address is configured.

    Parameters
    ----------
    port : int
        Port of the UI on 127.0.0.1; another one if it is taken.
    say : callable
        Called with each line for the terminal.

    Returns
    -------
    int
        Dagster's exit code.

    Raises
    ------
    SettingsError
        If another command runs a daemon for the same folder or database.
    """
    require("ui")
    chosen = free_port(port)
    words = ["-W", _SUPERSEDED, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(chosen)]
    return _run(words, say, f"Dagster UI   http://127.0.0.1:{chosen}")


def daemon(*, say: Callable[[str], None]) -> int:
    """Run Dagster's daemon, which evaluates sensors and launches runs, without the UI.

    Parameters and errors as for `dev`.
    """
    return _run(["-m", "dagster._daemon", "run"], say)


def _run(words: list[str], say: Callable[[str], None], *lines: str) -> int:
    """Run a Dagster command that contains the daemon; return its exit code."""
    settings = load_settings()
    with open_platform(settings) as platform, the_only_daemon(settings) as lock:
        for line in (
            *lines,
            f"Job inbox    {settings.job_inbox}/<analysis>/   ({', '.join(platform.names)})",
            f"Results      s3://{settings.analysis_bucket}",
            f"Runs         up to {settings.run_concurrency} at once",
        ):
            say(line)
        with dagster_process(settings, words) as process, interruptible():
            try:
                return _wait(process, lock)
            except KeyboardInterrupt:
                return 0


def _wait(process: subprocess.Popen[bytes], lock: DaemonLock) -> int:
    """Wait for the process, and raise if another daemon takes the lock meanwhile."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_LOCK_CHECK_S)
        lock.check()
