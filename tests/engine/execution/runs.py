"""Runs in processes of their own, and the folders that they work in."""

import json
import subprocess
import sys
from pathlib import Path

from tests.unmeasured import unmeasured_environment


def killable(platform, keys, docdb_uri, home, *, at=None, command=()):
    """Start a run in a process of its own, below another command."""
    services = platform.services
    said = {
        "at": at,
        "file": str(platform.entry.path),
        "keys": keys,
        "uri": docdb_uri,
        "database": services.ledger.mongo.database,
        "home": str(home),
        "work": str(services.machine.work_folder),
        "root": services.results.root,
    }
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [
            *command,
            sys.executable,
            "-B",
            "-c",
            "import json, sys; from tests.engine.execution import killed_run; killed_run.main(json.loads(sys.argv[1]))",
            json.dumps(said),
        ],
        env={**unmeasured_environment(), "PYTHONPATH": str(root)},
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def folders_of_runs(platform):
    """Give the folders of runs that exist now."""
    return [path for path in platform.services.machine.work_folder.glob("*/*") if path.is_dir()]
