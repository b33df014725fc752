"""Dagster's storage in a real PostgreSQL: it is used, its address stays secret, and its absence is told plainly."""

import subprocess
import sys
import traceback
from urllib.parse import urlsplit

import dagster as dg
import pytest

from cli.dagster_processes import free_port
from cli.dispatch.run import open_recording_dagster
from domain.errors import ServerUnavailableError, SettingsError
from engine.discovery.analyses import ANALYSES_FOLDER
from operations.platform import Platform, open_dagster
from resources.connections import connect
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.dagster_storage.event_log_postgres import PostgresEventLog
from resources.settings import PROJECT_ROOT, Settings
from tests.postgres import postgres_server, postgres_url  # noqa: F401  fixtures

PLANTED = "hunter2hunter2"


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Set the address as an operator does, and make Dagster's home."""

    def prepared(url):
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
        settings = Settings(analysis_home=tmp_path)
        prepare_dagster_home(settings)
        return settings

    return prepared


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2"])
def test_dagsters_storage_is_in_postgresql(prepare, postgres_url, tmp_path, scheme):  # noqa: F811
    url = postgres_url.replace("postgresql", scheme, 1)
    settings = prepare(url)
    for kept in (False, True):  # opened twice: the second time finds what the first wrote
        with open_dagster(settings) as instance:
            assert isinstance(instance.event_log_storage, PostgresEventLog)
            assert instance.get_dynamic_partitions("stored") == (["a"] if kept else [])
            instance.add_dynamic_partitions("stored", ["a"])
            instance.report_runless_asset_event(dg.AssetMaterialization("asset", partition="a"))
            assert instance.get_materialized_partitions(dg.AssetKey("asset")) == {"a"}
    assert not list(tmp_path.rglob("*.db"))
    password = urlsplit(url).password
    assert password
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and password in path.read_text(errors="replace")]


def test_without_the_setting_the_storage_is_a_file(tmp_path):
    settings = Settings(analysis_home=tmp_path)
    home = prepare_dagster_home(settings)
    with open_dagster(settings) as instance:
        instance.add_dynamic_partitions("stored", ["a"])
    assert list(home.rglob("*.db"))


def test_a_server_that_does_not_answer_is_named_without_its_password(prepare, caplog):
    port = free_port(0)
    settings = prepare(f"postgresql://dagster:{PLANTED}@127.0.0.1:{port}/dagster")
    with (
        pytest.raises(ServerUnavailableError, match=f"DAGSTER_POSTGRES_URL.*port {port}.*refused") as caught,
        open_dagster(settings),
    ):
        pass
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert PLANTED not in shown


def test_a_dispatch_says_so_too(prepare):
    settings = prepare(f"postgresql://dagster:{PLANTED}@127.0.0.1:{free_port(0)}/dagster")
    with pytest.raises(ServerUnavailableError, match=r"cannot be used.*refused.*See that the server runs"):
        open_recording_dagster(Platform(settings, ANALYSES_FOLDER, connect(settings)))


def test_a_wrong_password_is_reported_but_not_shown(prepare, postgres_url):  # noqa: F811
    settings = prepare(postgres_url.replace(urlsplit(postgres_url).password, PLANTED))
    with (
        pytest.raises(ServerUnavailableError, match=r"failed for user \(not shown\)") as caught,
        open_dagster(settings),
    ):
        pass
    assert PLANTED not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "address",
    [
        f"mysql://user:{PLANTED}@host/db",
        f"postgres://user:{PLANTED}@host/db",
        f"postgresql+psycopg://user:{PLANTED}@host/db",
        f"postgresql://user:{PLANTED}@host",
        f"postgresql://user:{PLANTED}@/db",
        f"postgresql://user:{PLANTED}@host:port/db",
        f"postgresql://user:{PLANTED}@host:0/db",
        f"postgresql://user:{PLANTED}/x@host/db",
        f"postgresql://user:{PLANTED}#x@host/db",
        f"host=h password={PLANTED}",
    ],
)
def test_another_address_is_refused_and_not_shown(monkeypatch, address):
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", address)
    with pytest.raises(SettingsError, match=r"DAGSTER_POSTGRES_URL cannot be used.*expected postgresql://") as caught:
        Settings()
    assert PLANTED not in str(caught.value)


def test_a_good_address_is_hidden_in_what_is_printed(monkeypatch):
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", f"postgresql://dagster:{PLANTED}@pg:5432/dagster?sslmode=verify-full")
    assert PLANTED not in repr(Settings())


def test_code_of_analyses_does_not_see_the_address(monkeypatch):
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", f"postgresql://dagster:{PLANTED}@pg/dagster")
    code = "import os; from engine.worker.process import prepare_worker; prepare_worker(); print(dict(os.environ))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert "PATH" in done.stdout
    assert PLANTED not in done.stdout
