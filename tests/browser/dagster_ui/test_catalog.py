"""What a person sees of catalogs and reports: in Dagster's UI, and in the files that its links open."""

import pytest
from playwright.sync_api import expect

from domain.job.state import JobState
from results_table.names import report_key_of, table_key_of
from tests.browser.dagster_ui.ui import ended, see

pytestmark = pytest.mark.slow
NAME = "unit_quality"


def latest_metadata(stage, key):
    """Return the latest metadata of an asset."""
    event = stage.instance.get_latest_materialization_event(key)
    return {name: value.value for name, value in event.asset_materialization.metadata.items()} if event else {}


@pytest.fixture(scope="module")
def made(stage, session_url):
    """Ask for results and failures, and wait until the sensor has had their report made."""
    methods = [{"file_location": [session_url], "distributed_parameters": {"method": m}} for m in ("llobet", "hill")]
    *good, bad = [stage.submit(NAME, job) for job in (*methods, {"s3_location": ["s3://bucket/<b>nowhere</b>"]})]
    assert [ended(stage, NAME, key) for key in good] == [JobState.DONE, JobState.DONE]
    assert ended(stage, NAME, bad) is JobState.FAILED
    stage.wait_for(lambda: latest_metadata(stage, report_key_of(NAME)).get("failed") == 1, "no report of the failure")
    return latest_metadata(stage, table_key_of(NAME))


def test_the_ui_shows_the_catalog_with_its_rows_and_columns(page, stage, made):
    counts = stage.platform.connections.ledger.jobs.counts(NAME)
    assert (made["done"], made["failed"]) == (counts[JobState.DONE], 1)
    assert made["done"] >= 2
    page.goto(f"{stage.url}/assets/{NAME}/catalog?view=overview")
    see(page, "All results of")
    see(page, "parameters.method")
    see(page, "outputs.n_units")
    page.goto(f"{stage.url}/assets/{NAME}/catalog?view=events")
    see(page, "rows with other values")
    expect(page.locator(f'a[href*="/catalog/{NAME}/results.parquet"]').first).to_be_visible()


def test_the_ui_shows_the_figures_of_the_report(page, stage, made):
    page.goto(f"{stage.url}/assets/{NAME}/report?view=events")
    see(page, "distributions")
    page.get_by_text("[Show Markdown]").first.click()
    image = page.get_by_role("dialog").locator("img")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.complete && image.naturalWidth") > 200
    page.get_by_role("button", name="Close").click()


def test_the_report_opens_by_its_link_with_all_figures_and_links_back(page, stage, made):
    page.goto(latest_metadata(stage, report_key_of(NAME))["report"])
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()
    for heading in ("Outcomes", "Distributions", "Parameter sets compared on the same inputs", "Failures"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    images = page.locator("img")
    assert images.count() == 4
    for number in range(4):
        assert images.nth(number).evaluate("image => image.complete && image.naturalWidth") > 200
    expect(page.get_by_text("method = hill").first).to_be_visible()
    expect(page.get_by_text("<b>nowhere</b>").first).to_be_visible()
    link = page.get_by_role("link", name="open in Dagster").get_attribute("href")
    assert link.endswith(f"/assets/analysis/{NAME}")


def test_the_graph_leads_from_the_analysis_to_catalog_and_report(page, stage, made):
    page.goto(f"{stage.url}/assets/{NAME}/report?view=lineage&lineageScope=upstream")
    page.get_by_role("button", name="All", exact=True).click()
    for node in ("inbox", NAME, "catalog", "report"):
        see(page, node, exact=True)
