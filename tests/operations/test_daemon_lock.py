"""Only one Dagster daemon runs over a folder, and over a PostgreSQL that several hosts use."""

import psycopg2
import pytest

from benchmarks.postgres import new_database
from domain.errors import ServerUnavailableError, SettingsError
from operations.daemon_lock import only_one_daemon, the_only_daemon
from resources.process import host_name
from resources.settings import Settings
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]  # fixtures


def on_host(folder, url=None):
    """Give the settings of a host, whose folders no other host has."""
    return Settings(analysis_home=folder, dagster_postgres_url=url)


def end_connections(url):
    """Close every other connection to a database, as a restart of PostgreSQL does."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    connection.close()


def test_only_one_daemon_runs_over_a_folder(tmp_path):
    settings = on_host(tmp_path)
    with only_one_daemon(settings) as first:
        assert first is not None
        with only_one_daemon(settings) as second:
            assert second is None
        with (
            pytest.raises(SettingsError, match=f"runs over {tmp_path}: use it, or end it first"),
            the_only_daemon(settings),
        ):
            pass
        first.check()
    with only_one_daemon(settings) as again:
        assert again is not None


def test_a_second_host_is_refused_and_names_the_first(tmp_path, postgres_url):
    one, other = on_host(tmp_path / "one", postgres_url), on_host(tmp_path / "other", postgres_url)
    with the_only_daemon(one) as first:
        expected = f"Another daemon on {host_name()} uses the database of DAGSTER_POSTGRES_URL since 20"
        with pytest.raises(SettingsError, match=expected), the_only_daemon(other):
            pass
        first.check()
    with only_one_daemon(other) as free:
        assert free is not None


def test_each_database_has_its_own_daemon(tmp_path, postgres_server):
    one, other = new_database(postgres_server), new_database(postgres_server)
    with the_only_daemon(on_host(tmp_path / "one", one)), only_one_daemon(on_host(tmp_path / "other", other)) as free:
        assert free is not None


def test_the_lock_is_taken_again_after_a_restart_of_the_database(tmp_path, postgres_url):
    with the_only_daemon(on_host(tmp_path / "one", postgres_url)) as lock:
        end_connections(postgres_url)
        lock.check()
        with only_one_daemon(on_host(tmp_path / "other", postgres_url)) as free:
            assert free is None


def test_a_daemon_ends_when_another_has_its_lock(tmp_path, postgres_url):
    with the_only_daemon(on_host(tmp_path / "one", postgres_url)) as lock:
        end_connections(postgres_url)
        with (
            the_only_daemon(on_host(tmp_path / "other", postgres_url)),
            pytest.raises(SettingsError, match="Another daemon on"),
        ):
            lock.check()


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path):
    url = "postgresql://dagster:nightwatch@127.0.0.1:9/dagster"
    with pytest.raises(ServerUnavailableError) as caught, the_only_daemon(on_host(tmp_path, url)):
        pass
    assert "DAGSTER_POSTGRES_URL" in str(caught.value)
    assert "nightwatch" not in f"{caught.value}{caught.value.__cause__}"
