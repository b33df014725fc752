"""`analysis explore`: what it serves, where, and when it refuses."""

import threading
from contextlib import suppress

import pytest
import requests
from pydantic import SecretStr
from typer.testing import CliRunner

from cli.explore.run import context_of, explore, login_of
from cli.main import app
from resources.settings import Settings
from tests.lab_workspace import LAB
from tests.waiting import wait_for


@pytest.fixture
def elsewhere(monkeypatch, docdb_uri, database, tmp_path):
    """Use the servers of the tests by their addresses, with a database of their own."""
    monkeypatch.setenv("ANALYSIS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCDB_URI", docdb_uri)
    monkeypatch.setenv("DOCDB_DATABASE", database)
    monkeypatch.setenv("ANALYSIS_BUCKET", "nowhere")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "explorer.lab.org"])  # noqa: S104  nothing listens: it is refused
def test_others_are_served_only_with_a_login(host):
    found = CliRunner().invoke(app, ["explore", "--host", host])
    assert found.exit_code == 2
    assert "EXPLORER_USER and EXPLORER_PASSWORD" in found.stderr


def status_of_a_served_page():
    """Serve the explorer, and request its page until it answers; give the status, and the output of the command."""
    said = []
    threading.Thread(target=explore, kwargs={"port": 0, "host": "127.0.0.1", "say": said.append}, daemon=True).start()

    def status():
        with suppress(IndexError, requests.ConnectionError):
            return requests.get(said[0].split()[1], timeout=60).status_code
        return None

    return wait_for(status, "the explorer does not answer"), said


@pytest.mark.usefixtures("elsewhere")
def test_the_page_is_served():
    status, said = status_of_a_served_page()
    assert said[0].startswith("Explorer   http://127.0.0.1:")
    assert status == 200


@pytest.mark.usefixtures("elsewhere")
def test_it_asks_for_the_login_and_says_nothing_of_the_password(monkeypatch):
    monkeypatch.setenv("EXPLORER_USER", "lab")
    monkeypatch.setenv("EXPLORER_PASSWORD", "correct horse battery")
    status, said = status_of_a_served_page()
    assert status == 401
    assert "horse" not in " ".join(said)


def test_a_login_is_taken_from_the_settings():
    assert login_of(Settings()) is None
    found = login_of(Settings(explorer_user="lab", explorer_password=SecretStr("correct horse battery")))
    assert found is not None
    assert found.is_right("lab", "correct horse battery")


def test_an_analysis_whose_file_is_broken_is_shown_without_units(tmp_path, caplog):
    (tmp_path / "broken.py").write_text("ANALYSIS = 1\n", encoding="utf-8")
    context = context_of(Settings(analysis_home=tmp_path / "home"), folder=tmp_path)
    assert context.tables.entries == {"broken": None}
    assert "without units" in caplog.text
    assert "double" in context_of(Settings(analysis_home=tmp_path / "home"), folder=LAB).tables.entries
