"""The core installation, without explorer, UI, PostgreSQL, embedded servers and tools of developers, computes jobs."""

import json
import re
import subprocess
import sys
import tomllib
import uuid
from importlib.metadata import packages_distributions

import pytest

from domain.errors import SettingsError
from resources import extras
from resources.extras import EXTRAS, require
from resources.settings import PROJECT_ROOT
from tests.core_install import normal
from tests.unmeasured import unmeasured_environment


@pytest.mark.slow
def test_the_core_computes_a_job_and_names_the_extras_that_it_lacks(home, servers, tmp_path):
    environment = {
        **unmeasured_environment(),
        "ANALYSIS_HOME": str(home),
        "DAGSTER_HOME": str(tmp_path),
        "DOCDB_DATABASE": f"test_{uuid.uuid4().hex[:16]}",
        "JOB_INBOX": str(tmp_path / "inbox"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.core_install", str(tmp_path)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["outputs"]["double"] == 42.0
    assert set(found["missing"]) == set(EXTRAS)
    assert all(f"requirements/{extra}.txt" in text for extra, text in found["missing"].items())


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_packages_of_an_extra_are_those_of_the_project_file(extra):
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    declared = {normal(re.match(r"[\w.-]+", line)[0]) for line in project["optional-dependencies"][extra]}
    distributions = packages_distributions()
    assert {normal(name) for module in EXTRAS[extra] for name in distributions[module]} == declared


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_installed_extra_is_accepted(extra):
    require(extra)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "ui", ("dagster", "no_such_package"))
    with pytest.raises(SettingsError, match=r"`ui` is not installed \(no_such_package missing\).*requirements/ui.txt"):
        require("ui")
