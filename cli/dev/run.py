"""`analysis dev`: runs the platform on this machine until it is interrupted."""

from collections.abc import Callable

from cli.dagster_processes import dagster_process, free_port, interruptible, only_one_daemon
from domain.errors import SettingsError
from operations.platform import open_platform
from resources.extras import require
from resources.settings import load_settings

_SUPERSEDED = "ignore:Function `dev_command` is superseded"


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
        If another command runs a daemon for the same folder.
    """
    require("ui")
    settings = load_settings()
    with open_platform(settings) as platform, only_one_daemon(settings) as free:
        if not free:
            msg = f"Another `analysis dev` or `analysis demo` runs over {settings.analysis_home}: use it, or end it first."
            raise SettingsError(msg)
        chosen = free_port(port)
        say(f"Dagster UI   http://127.0.0.1:{chosen}")
        say(f"Job inbox    {settings.job_inbox}/<analysis>/   ({', '.join(platform.names)})")
        say(f"Results      s3://{settings.analysis_bucket}")
        words = ["-W", _SUPERSEDED, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(chosen)]
        with dagster_process(settings, words) as process, interruptible():
            try:
                return process.wait()
            except KeyboardInterrupt:
                return 0
