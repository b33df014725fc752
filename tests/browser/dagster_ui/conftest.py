"""A platform with Dagster's UI, once for all tests of this folder."""

import pytest

from domain.job.state import JobState
from examples.behavior import make_behavior
from examples.sessions import write_session
from tests.browser.dagster_ui.stage import on_stage
from tests.browser.dagster_ui.ui import ended


@pytest.fixture(scope="package")
def stage(chromium, tmp_path_factory):
    """Run the platform with its UI, once for all tests."""
    with on_stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture(scope="package")
def session_url(tmp_path_factory):
    """Write one session that both analyses can read."""
    path = tmp_path_factory.mktemp("session") / "session.nwb"
    return write_session(path, seed=3, n_units=6, duration_s=120.0, behavior=make_behavior(seed=3)).path.as_uri()


@pytest.fixture(scope="package")
def results(stage, session_url):
    """Request a result of both analyses, in separate runs, and wait for it."""
    job = {"file_location": [session_url], "distributed_parameters": {"analysis_tag": "browsed"}}
    keys = {name: stage.submit(name, job) for name in stage.platform.names}
    for name, key in keys.items():
        assert ended(stage, name, key) is JobState.DONE
    return keys
