"""What Dagster's UI shows of an analysis and its results: graph, tables, plots, links, tags and built-in checks."""

import re

import pytest
import requests
from playwright.sync_api import expect

from domain.analysis.builtin_checks import BUILT_IN
from domain.job.state import JobState
from engine.assets.materialization import inbox_key_of
from tests.browser.dagster_ui.ui import open_partition, see

pytestmark = pytest.mark.slow
_STALE = """query($name: String!, $key: String) { assetNodes(assetKeys: [{path: ["analysis", $name]}])
  { staleStatus(partition: $key) staleCauses(partition: $key) { reason } } }"""


def staleness(stage, name, key):
    """Ask whether a partition is up to date."""
    body = {"query": _STALE, "variables": {"name": name, "key": key}}
    (node,) = requests.post(f"{stage.url}/graphql", json=body, timeout=60).json()["data"]["assetNodes"]
    return node["staleStatus"], node["staleCauses"]


def entry_of(page, label):
    """Find the row of an entry in a table of metadata."""
    row = page.locator("tr").filter(has=page.locator("td:first-child", has_text=re.compile(f"^{re.escape(label)}$")))
    return row.filter(visible=True).first


def _wait_for_the_observation(stage):
    """Wait until the inbox has reported a rejected file."""

    def reported():
        return stage.instance.fetch_observations(inbox_key_of("unit_quality"), limit=1).records

    stage.wait_for(reported, "the bad file was not reported")


def test_the_graph_leads_from_data_assets_to_the_analysis(page, stage):
    page.goto(f"{stage.url}/assets/analysis/unit_quality?view=lineage&lineageScope=upstream&lineageDepth=3")
    see(page, "data_assets", exact=True)
    page.get_by_text("data_assets", exact=True).filter(visible=True).first.click()
    page.goto(f"{stage.url}/assets/data_assets?view=overview")
    see(page, "a record for each data asset")
    see(page, "MongoDB")
    see(page, "unit_quality / dispatches")
    assert "mongodb://" not in page.inner_text("body")


def test_a_partition_is_up_to_date_whatever_the_inbox_reports(page, stage, results):
    key = results["unit_quality"]
    assert staleness(stage, "unit_quality", key) == ("FRESH", [])
    stage.platform.connections.job_inbox.write("unit_quality", "bad.json", b"no JSON")
    _wait_for_the_observation(stage)
    assert staleness(stage, "unit_quality", key) == ("FRESH", [])
    open_partition(page, stage, "unit_quality", key)
    see(page, "Materialized", exact=True)
    assert "Unsynced" not in page.inner_text("body")


def test_parameters_columns_rows_and_the_source_are_on_the_asset(page, stage, results):
    page.goto(f"{stage.url}/assets/analysis/unit_quality?view=overview")
    see(page, "Row count")
    see(page, "Source code")
    see(page, "unit_quality.py")
    for column in ("firing_rate_hz", "Used spikes by observed time (Hz)."):
        see(page, column)
    page.get_by_placeholder("Filter columns").fill("presence")
    see(page, "presence_ratio")
    expect(page.get_by_text("isi_violation_count", exact=True).filter(visible=True)).to_have_count(0)
    parameters = entry_of(page, "parameters")
    for text in ("unit", "default", "meaning", "refractory_period_ms", "A neuron never fires twice within this time"):
        see(parameters, text)


def test_numbers_are_plotted_over_time_under_their_unit(page, stage, results):
    page.goto(f"{stage.url}/assets/analysis/unit_quality?view=overview")
    page.get_by_role("button", name="Plots").first.click()
    page.get_by_role("button", name="Events").filter(visible=True).first.click()
    see(page, "median_firing_rate_hz (Hz)", exact=True)
    see(page, "dagster/row_count", exact=True)
    plot = page.locator("canvas").filter(visible=True).first
    plot.scroll_into_view_if_needed()
    expect(plot).to_be_visible()


def test_the_links_of_a_result_open(page, stage, results):
    open_partition(page, stage, "unit_quality", results["unit_quality"])
    see(page, "median_firing_rate_hz (Hz)", exact=True)
    for label in ("duration (s)", "peak memory (MB)", "processor time (s)", "machine"):
        see(page, label, exact=True)
    assert re.search(r"row_count\s+[1-9]", entry_of(page, "dagster/row_count").inner_text())
    for label, found in (("result", "units.parquet"), ("record", '"data_processes"')):
        address = entry_of(page, label).locator("a").first.get_attribute("href")
        answer = requests.get(address, timeout=60)
        assert (answer.status_code, found in answer.text) == (200, True), label
    run = entry_of(page, "run").locator("a").first
    expect(run).to_have_attribute("href", re.compile("/runs/"))
    run.click()
    page.wait_for_url("**/runs/**")
    see(page, "Success", exact=True)


def test_a_run_is_found_by_subject_in_the_filter(page, stage, results):
    page.goto(f"{stage.url}/runs")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("Tag", exact=True).first.click()
    page.keyboard.type("700001")
    page.get_by_text("dagster/subject.700001", exact=True).first.click()
    page.get_by_text("700001", exact=True).filter(visible=True).first.click()
    page.keyboard.press("Escape")
    page.wait_for_url("**/runs?**700001**")
    see(page, "unit_quality_batch")
    expect(page.get_by_text("misbehave_batch").filter(visible=True)).to_have_count(0)


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_a_built_in_check_has_a_verdict_on_each_partition(page, stage, results, name):
    page.goto(f"{stage.url}/assets/analysis/unit_quality?view=checks")
    page.get_by_text(name).first.click()
    see(page, "Nothing differs.")
    see(page, "Passed", exact=True)
    page.get_by_role("tab", name="Partitions").or_(page.get_by_text("Partitions", exact=True)).last.click()
    see(page, re.compile(r"^Passed \([1-9]"))
    failed = stage.platform.connections.ledger.jobs.counts("unit_quality")[JobState.FAILED]
    see(page, f"Missing ({failed})")
