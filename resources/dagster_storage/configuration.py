"""Dagster's configuration, from the files in ``deploy/`` and the settings.

Dagster reads numbers of ``dagster.yaml`` only as numbers, not from the environment, so the file is written at each start.
"""

import uuid
from pathlib import Path
from typing import Any

import yaml

from resources.extras import require
from resources.folders import writable_folder
from resources.settings import PROJECT_ROOT, Settings

_DEPLOY = PROJECT_ROOT / "deploy"
_HEADER = "# Written at each start from the settings and the files in deploy/: change those.\n"


def prepare_dagster_home(settings: Settings) -> Path:
    """Create Dagster's home folder with the platform's configuration, and return it.

    Raises
    ------
    SettingsError
        If the folder cannot be written, or an optional part that the settings need is not installed.
    """
    home = writable_folder(settings.dagster_home, setting="DAGSTER_HOME")
    file = home / f"dagster.yaml.{uuid.uuid4().hex}"
    file.write_text(_HEADER + yaml.safe_dump(configuration(settings), sort_keys=False), encoding="utf-8")
    file.replace(home / "dagster.yaml")  # atomically: another process may be reading it
    return home


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the content of ``dagster.yaml``. Secrets are only named: Dagster reads them from the environment.

    Parameters
    ----------
    settings : Settings
        Storage, and bounds of runs.
    """
    found = {**_deployed("dagster.yaml"), **_storage(settings)}
    found["concurrency"]["runs"]["max_concurrent_runs"] = settings.run_concurrency
    found["run_monitoring"]["start_timeout_seconds"] = settings.run_start_timeout_s
    return found


def _storage(settings: Settings) -> dict[str, Any]:
    if settings.dagster_postgres_url is not None:
        require("postgres")
        return _deployed("dagster-postgres.yaml")
    found = _deployed("dagster-sqlite.yaml")
    found["event_log_storage"]["config"]["home"] = str(settings.dagster_home)
    return found


def _deployed(name: str) -> dict[str, Any]:
    """Return the content of a file in ``deploy/``."""
    content: dict[str, Any] = yaml.safe_load((_DEPLOY / name).read_text(encoding="utf-8"))
    return content
