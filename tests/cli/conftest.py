"""An open platform on the shared servers, with its own database, inbox and folder."""

from pathlib import Path

import pytest

from operations.platform import open_platform
from resources.settings import load_settings

LAB = Path(__file__).parent.parent / "lab"


@pytest.fixture
def settings(monkeypatch, servers, home, database, tmp_path):
    """Set the environment of a command, and read it."""
    monkeypatch.setenv("ANALYSIS_HOME", str(home))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("DOCDB_DATABASE", database)
    monkeypatch.setenv("JOB_INBOX", str(tmp_path / "inbox"))
    monkeypatch.chdir(tmp_path)
    return load_settings(env_file=tmp_path / "no.env")


@pytest.fixture
def platform(settings):
    """Open the platform with the analyses for tests."""
    with open_platform(settings, folder=LAB) as platform:
        yield platform
