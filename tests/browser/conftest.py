"""A real browser over a real platform; without Chromium these tests are skipped, unless they are required."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from examples.behavior import make_behavior
from examples.sessions import write_session
from tests.browser.stage import on_stage

REQUIRED = "REQUIRE_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # tests may run as root, for which Chromium has no sandbox
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def chromium():
    """Find Chromium."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set and there is no Chromium: install it (Debian: apt-get install chromium)")
    if found is None:
        pytest.skip("there is no Chromium on PATH: install it to run the browser tests (Debian: chromium)")
    return found


@pytest.fixture(scope="module")
def browser(chromium):
    """Run the browser; it ends with its tests, because its event loop disturbs whatever runs in this thread after it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """Open a page, and see that nothing on it went wrong."""
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.set_default_timeout(_PATIENCE_MS)
    crashes = []
    page.on("pageerror", lambda error: crashes.append(str(error)))
    yield page
    page.close()
    assert crashes == []


@pytest.fixture(scope="module")
def stage(chromium, tmp_path_factory):
    """Run the platform with its UI, once for all tests."""
    folder = tmp_path_factory.mktemp("stage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANALYSIS_HOME", str(folder / "home"))
        with on_stage(folder) as stage:
            yield stage


@pytest.fixture(scope="module")
def session_url(tmp_path_factory):
    """Write one session that both analyses can read."""
    path = tmp_path_factory.mktemp("session") / "session.nwb"
    return write_session(path, seed=3, n_units=6, duration_s=120.0, behavior=make_behavior(seed=3)).path.as_uri()
