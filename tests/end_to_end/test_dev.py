"""`analysis dev`: everything runs with one command, and ends with it."""

import subprocess
from contextlib import contextmanager, suppress

import psutil
import pytest
import requests

from cli.dagster_processes import free_port
from resources.settings import PROJECT_ROOT
from tests.end_to_end.commands import command
from tests.end_to_end.conftest import command_of, nothing_runs, of_folder
from tests.waiting import PATIENCE_S, wait_for

pytestmark = pytest.mark.slow


@contextmanager
def dev(tmp_path):
    """Run `analysis dev`, and kill it if the test did not end it."""
    port = free_port(0)
    with (tmp_path / "dev.log").open("wb") as log:
        process = subprocess.Popen(command("dev", "--port", str(port)), cwd=PROJECT_ROOT, stdout=log, stderr=log)
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def shown_assets(address):
    """Ask the UI's server which assets there are."""
    with suppress(requests.ConnectionError):
        query = {"query": "{ assetNodes { assetKey { path } } }"}
        answer = requests.post(f"{address}/graphql", json=query, timeout=60).json()
        return ["/".join(node["assetKey"]["path"]) for node in answer["data"]["assetNodes"]]
    return []


def listening(home):
    """Return the addresses on which the processes of a folder listen."""
    found = set()
    for process in of_folder(home):
        with suppress(psutil.Error):
            found |= {s.laddr.ip for s in process.net_connections("tcp") if s.status == psutil.CONN_LISTEN}
    return found


def test_dev_serves_the_ui_and_ends_with_everything_that_it_started(home, tmp_path):
    with dev(tmp_path) as (process, address):
        wait_for(lambda: "analysis/unit_quality" in shown_assets(address), "the UI does not answer")
        assert "<html" in requests.get(address, timeout=60).text
        assert "Dagster UI" in (tmp_path / "dev.log").read_text(encoding="utf-8")
        assert listening(home) == {"127.0.0.1"}
        another = subprocess.run(
            command("dev"), cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert (another.returncode, "Another `analysis dev`" in another.stderr) == (2, True)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    wait_for(lambda: nothing_runs(home), "something is still running")


def test_when_dev_is_killed_everything_that_it_started_ends(home, tmp_path):
    with dev(tmp_path) as (process, _):
        wait_for(lambda: any("dagster._daemon" in command_of(p) for p in of_folder(home)), "no daemon")
        process.kill()
        process.wait()
    wait_for(lambda: nothing_runs(home), "something is still running")
