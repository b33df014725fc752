"""One job from file to result, in a process that can import the core installation only: ``python -m tests.core_install FOLDER``."""

import importlib
import json
import pkgutil
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "audit",
    "cli",
    "dispatch",
    "domain",
    "engine",
    "operations",
    "resources",
    "results",
    "results_table",
    "sensors",
)
OPTIONAL = {"cli.explore.run", "resources.event_log_postgres", "resources.dagster_storage.event_log_postgres"}
"""Modules that need an extra; what imports them checks for it first."""
FOR_DEVELOPERS = "cli.tools"


class Core:
    """Hides every installed package that ``requirements/base.txt`` does not have."""

    def __init__(self):
        lock = (ROOT / "requirements" / "base.txt").read_text(encoding="utf-8")
        locked = {normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
        self.hidden = {
            module
            for module, names in packages_distributions().items()
            if not locked.intersection(map(normal, names)) and "analysis-assets" not in map(normal, names)
        }

        self.finders = list(sys.meta_path)

    def find_spec(self, name, path=None, target=None):
        """Find a module as before, unless its package is hidden."""
        if path is None and name in self.hidden:
            return None
        specs = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in specs if spec is not None), None)


def normal(name):
    """Return the name of a package as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(folder):
    """Import every module of the platform, then compute one job."""
    core = Core()
    assert {"dash", "flask", "dagster_webserver", "pytest"} <= core.hidden
    sys.meta_path[:] = [core]
    for package in map(importlib.import_module, PACKAGES):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if (
                found.name not in OPTIONAL
                and not found.name.startswith(FOR_DEVELOPERS)
                and found.name != "resources.results"
            ):
                importlib.import_module(found.name)
    print(json.dumps({"outputs": computed(folder), "missing": missing_extras()}))  # noqa: T201


def computed(folder):
    """Submit a job of an analysis for tests, and compute it as a run of Dagster does; gives its outputs."""
    import dagster as dg  # noqa: PLC0415  imported below the finder

    from definitions import build_defs  # noqa: PLC0415
    from domain.result.records import from_record  # noqa: PLC0415
    from operations.platform import open_platform  # noqa: PLC0415
    from operations.requests import submit  # noqa: PLC0415
    from resources.settings import load_settings  # noqa: PLC0415

    lab = ROOT / "tests" / "lab"
    with open_platform(load_settings(env_file=folder / "no.env"), folder=lab) as platform:
        (job,) = submit(platform, "double", ["s3://bucket/asset"], by_hand={"number": 21})
        repository = build_defs(platform.settings, folder=lab).get_repository_def()
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("double", [job.job_key])
            done = repository.get_job("double_batch").execute_in_process(
                instance=instance, partition_key=job.job_key, raise_on_error=False
            )
        assert done.success
        (record,) = platform.connections.record_store.newest("double").to_list()
        return dict(from_record(record).outputs)


def missing_extras():
    """Name the extras that cannot be used, with the advice of the error."""
    from domain.errors import SettingsError  # noqa: PLC0415
    from resources.extras import EXTRAS, require  # noqa: PLC0415

    found = {}
    for extra in EXTRAS:
        try:
            require(extra)
        except SettingsError as error:
            found[extra] = str(error)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
