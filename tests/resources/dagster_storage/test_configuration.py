"""Dagster's configuration follows the settings, and Dagster accepts it."""

import dagster as dg
import pytest
import yaml

from domain.errors import SettingsError
from resources.dagster_storage.configuration import configuration, prepare_dagster_home
from resources.dagster_storage.event_log import SqliteEventLog
from resources.folders import writable_folder
from resources.settings import PROJECT_ROOT, Settings

SHARED = {
    "docdb_uri": "mongodb://user:midnight@db:27017/",
    "analysis_bucket": "lab/results",
    "dagster_postgres_url": "postgresql://dagster:midnight@pg/dagster",
    "job_inbox": "s3://lab-jobs/inbox",
}


@pytest.fixture
def settings(tmp_path):
    """Give settings with a new folder."""
    return Settings(analysis_home=tmp_path)


def test_dagsters_home_has_the_projects_configuration(settings):
    home = prepare_dagster_home(settings)
    ours = yaml.safe_load((PROJECT_ROOT / "deploy" / "dagster.yaml").read_text(encoding="utf-8"))
    written = yaml.safe_load((home / "dagster.yaml").read_text(encoding="utf-8"))
    assert {name: written[name] for name in ours} == ours
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert isinstance(instance.event_log_storage, SqliteEventLog)
    (home / "dagster.yaml").write_text("old", encoding="utf-8")
    prepare_dagster_home(settings)
    assert (home / "dagster.yaml").read_text(encoding="utf-8") != "old"


@pytest.mark.parametrize(
    ("given", "at_once", "start_s"),
    [
        ({}, 2, 120),
        ({"run_concurrency": "5"}, 5, 120),
        ({"run_start_timeout_s": "60"}, 2, 60),
    ],
)
def test_numbers_come_from_the_settings(tmp_path, given, at_once, start_s):
    found = configuration(Settings(analysis_home=tmp_path, **given))
    assert found["concurrency"]["runs"]["max_concurrent_runs"] == at_once
    assert found["run_monitoring"]["start_timeout_seconds"] == start_s
    assert found["run_monitoring"]["enabled"] is True


def test_the_configuration_has_no_secret(tmp_path):
    home = prepare_dagster_home(Settings(analysis_home=tmp_path, **SHARED))
    assert "midnight" not in (home / "dagster.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("run_concurrency", "1e9", "a whole number between 1 and 10000"),
        ("run_start_timeout_s", "-1", "a whole number between 0 and 604800"),
    ],
)
def test_invalid_numbers_say_what_is_expected(name, value, expected):
    with pytest.raises(SettingsError, match=rf"The setting {name.upper()} cannot be used: .*expected .*{expected}"):
        Settings(**{name: value})


def test_a_folder_that_cannot_be_written_names_its_setting(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"The folder .* cannot be written \(.*\)\. Set ANALYSIS_HOME to a folder"):
        writable_folder(tmp_path / "file" / "home", setting="ANALYSIS_HOME")
