"""A real browser; without Chromium these tests are skipped, unless they are required."""

import os
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.waiting import PATIENCE_MS

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
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def chromium():
    """Find Chromium."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set and there is no Chromium: install it (Debian: apt-get install chromium)")
    if found is None:
        pytest.skip("there is no Chromium on PATH: install it to run the browser tests (Debian: chromium)")
    return found


@pytest.fixture(scope="package")
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
    page.set_default_timeout(PATIENCE_MS)
    crashes = []
    page.on("pageerror", lambda error: crashes.append(str(error)))
    yield page
    page.close()
    assert crashes == []
