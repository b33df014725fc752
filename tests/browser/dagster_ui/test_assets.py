"""What a person sees and clicks in Dagster's UI."""

import dagster as dg
import pytest
import requests
from playwright.sync_api import expect

from domain.job.state import JobState
from tests.browser.dagster_ui.ui import click_until, ended, latest_run, open_partition, see, seen

pytestmark = pytest.mark.slow
INPUT = {"s3_location": ("s3://bucket/asset",)}


def test_both_analyses_are_in_the_catalog_with_their_parameters(page, stage):
    page.goto(f"{stage.url}/assets")
    for name in ("unit_quality", "foraging_choice_model"):
        expect(page.get_by_role("link", name=f"analysis / {name}").first).to_be_visible()
    page.goto(f"{stage.url}/assets/analysis/unit_quality?view=overview")
    see(page, "Which units of a session are well isolated?")
    see(page, "modality: ecephys")
    see(page, "Code location", exact=True)


@pytest.mark.parametrize("name", ["unit_quality", "foraging_choice_model"])
def test_a_materialization_shows_session_numbers_figure_and_links_that_open(page, stage, results, name):
    open_partition(page, stage, name, results[name])
    see(page, "ecephys_700001_2024-05-01_10-00-00")
    see(page, "outcome", exact=True)
    page.get_by_text("[Show Markdown]").first.click()
    image = page.get_by_role("dialog").locator("img")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.complete && image.naturalWidth") > 200
    page.get_by_role("button", name="Close").click()
    link = page.locator('a[href*="/analysis-results/"]').first.get_attribute("href")
    listing = requests.get(link, timeout=60)
    assert listing.status_code == 200
    assert f"{name}.png" in listing.text


def test_the_verdict_of_a_check_stands_beside_the_result(page, stage, results):
    page.goto(f"{stage.url}/assets/analysis/unit_quality?view=checks")
    see(page, "dagster_mongodb_and_s3_agree")
    page.get_by_text("enough_units_pass").first.click()
    see(page, "At least one unit in twenty passes")
    see(page, "Passed")
    check = dg.AssetCheckKey(dg.AssetKey(["analysis", "unit_quality"]), "enough_units_pass")
    storage = stage.instance.event_log_storage
    assert storage.get_asset_check_partition_info([check], partition_keys=[results["unit_quality"]])
    (newest,) = storage.get_asset_check_execution_history(check, limit=1)  # the page shows one of all partitions
    see(page, newest.partition)


def test_a_missing_partition_is_launched_by_hand_from_its_key_alone(page, stage):
    key = stage.wait_for_a_person("double", INPUT | {"distributed_parameters": {"number": 21}})
    open_partition(page, stage, "double", key)
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Launch 1 run").click()
    stage.wait_for(lambda: stage.job("double", key).state is JobState.DONE, "the job is not done")
    open_partition(page, stage, "double", key)
    see(page, "Materialized", exact=True)
    see(page, "42", exact=True)


def test_several_partitions_are_backfilled_at_once(page, stage):
    keys = [
        stage.wait_for_a_person("double", INPUT | {"distributed_parameters": {"number": number}})
        for number in (101, 102, 103)
    ]
    page.goto(f"{stage.url}/assets/analysis/double?view=partitions")
    see(page, "Missing (3)")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    click_until(dialog.get_by_role("button", name="Missing", exact=True), lambda: seen(dialog, "3 partitions"))
    dialog.get_by_role("button", name="Launch backfill").click()
    stage.wait_for(
        lambda: all(stage.job("double", key).state is JobState.DONE for key in keys), "the backfill did not end"
    )
    attempts = [attempt for key in keys for attempt in stage.job("double", key).attempts]
    assert len({attempt.run_id for attempt in attempts}) == 1, "one run took them all"


def test_a_dry_run_from_the_launchpad_stores_nothing(page, stage):
    key = stage.wait_for_a_person("double", INPUT | {"distributed_parameters": {"number": 300}})
    before = stage.job("double", key)
    known = {run.run_id for run in stage.instance.get_runs(limit=50)}
    open_partition(page, stage, "double", key)
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("Config", exact=True).click()
    page.get_by_role("button", name="Add config").click()
    page.locator(".CodeMirror").last.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("ops:\n  analysis__double:\n    config:\n      dry_run: true\n")
    page.get_by_role("button", name="Save config").click()
    page.get_by_role("button", name="Launch 1 run").click()
    run = latest_run(stage, "double", but=known)
    assert run.is_success
    assert stage.job("double", key) == before
    page.goto(f"{stage.url}/runs/{run.run_id}")
    see(page, "dry run, nothing stored")
    open_partition(page, stage, "double", key)
    see(page, "No metadata entries")


def test_a_failed_job_shows_the_traceback_of_its_author(page, stage):
    key = stage.submit("misbehave", {"s3_location": ["s3://bucket/a"], "distributed_parameters": {"mode": "raise"}})
    assert ended(stage, "misbehave", key) is JobState.FAILED
    open_partition(page, stage, "misbehave", key)
    see(page, "failed, and did not materialize this asset")
    page.get_by_role("link", name="View logs").or_(page.get_by_role("button", name="View logs")).first.click()
    page.goto(f"{stage.url}/runs/{stage.job('misbehave', key).attempts[-1].run_id}")
    see(page, "ValueError: the scientist's own error")
    shown = page.inner_text("body")
    assert "_fails_here" in shown
    assert "engine/worker" not in shown
    page.goto(f"{stage.url}/assets/analysis/misbehave?view=events&partition={key}")
    see(page, "ValueError: the scientist's own error")
    assert "engine/worker" not in page.inner_text("body")


def test_a_dispatch_from_the_launchpad_ends_in_a_result_without_another_click(page, stage, session_url):
    name, tag = "unit_quality", "dispatched in a browser"
    folder = session_url.rpartition("/")[0]
    records = stage.platform.connections.asset_records.mongo.collection("data_assets").raw
    records.insert_one({"_id": "r1", "name": "session", "location": folder, "subject": {"subject_id": "700001"}})
    lines = [
        "ops:",
        "  find_and_write:",
        "    config:",
        f"      analysis: {name}",
        """      query: '{"subject.subject_id": "700001"}'""",
        f"      set_values: ['analysis_tag={tag}']",
        "      plan_only: false",
    ]
    page.goto(f"{stage.url}/locations/analysis-assets/jobs/dispatch/playground")
    page.locator(".CodeMirror").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("\n".join(lines) + "\n")
    page.get_by_role("button", name="Launch Run").click()
    ledger = stage.platform.connections.ledger

    def dispatched():
        found = ledger.jobs.get_many(name, ledger.jobs.keys_in(name, JobState.DONE)).values()
        return next((job for job in found if job.parameters["analysis_tag"] == tag), None)

    job = stage.wait_for(dispatched, "no result of the dispatch")
    assert job.sources[0].dispatch_id in job.sources[0].name
    assert job.sources[0].query == '{"subject.subject_id":"700001"}'
    page.goto(f"{stage.url}/assets/{name}/dispatches?view=events")
    see(page, "1 job to write")
    open_partition(page, stage, name, job.job_key)
    see(page, tag)
