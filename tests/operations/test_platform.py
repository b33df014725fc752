"""Opening the platform."""

from pathlib import Path

import pytest

from domain.errors import ServerUnavailableError, UnknownJobError
from engine.discovery.analyses import ANALYSES_FOLDER
from operations.platform import open_platform
from resources.embedded.embedded import server_pids
from resources.result_store.attempts import complete_attempts
from resources.settings import Settings


def test_it_uses_the_servers_that_run_already(platform, settings):
    before = server_pids(settings.analysis_home)
    with open_platform(settings) as other:
        assert server_pids(settings.analysis_home) == before
        assert other.connections.ledger.jobs.counts("unit_quality")
    assert server_pids(settings.analysis_home) == before


def test_the_inbox_and_the_bucket_exist(platform, settings):
    assert Path(settings.job_inbox).is_dir()
    assert complete_attempts(platform.connections.results_store, "0" * 64) == []


def test_an_analysis_is_found_by_its_name(platform):
    assert platform.entry("double").analysis.name == "double"
    with pytest.raises(UnknownJobError, match="There is no analysis `x`"):
        platform.entry("x")


def test_with_addresses_configured_no_server_is_started(tmp_path):
    settings = Settings(
        analysis_home=tmp_path / "home",
        docdb_uri="mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100",
        analysis_bucket="bucket",
        aws_endpoint_url="http://127.0.0.1:9",
        job_inbox=str(tmp_path / "inbox"),
    )
    with open_platform(settings, folder=ANALYSES_FOLDER) as platform:
        assert "unit_quality" in platform.names
        assert not (tmp_path / "home").exists()
        assert platform.connections.ledger.mongo.uri.startswith("mongodb://127.0.0.1:9")


def test_a_bucket_inbox_that_is_away_is_an_error_when_used(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    settings = Settings(
        analysis_home=tmp_path / "home",
        docdb_uri="mongodb://127.0.0.1:9/",
        analysis_bucket="bucket",
        aws_endpoint_url="http://127.0.0.1:11",
        job_inbox="s3://jobs/in",
    )
    with open_platform(settings) as platform, pytest.raises(ServerUnavailableError):
        platform.connections.job_inbox.list_files("unit_quality")
