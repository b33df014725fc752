"""Alerts, each sent once."""

import dagster as dg
import pytest

from audit.checks import build_audit
from resources.alerts import Alerts
from resources.inbox.notes import InboxNotes
from sensors.alerts import audit_findings, build_alert_sensors, changed, failed_run, rejected_files
from tests.resources.test_alerts import webhook


@pytest.fixture
def hook():
    """Serve a webhook; gives the alerts that post to it, and the titles that came."""
    with webhook() as (url, posted):
        yield Alerts(webhook_url=url), lambda: [body["title"] for _, body in posted]


def test_a_run_that_fails_is_reported_with_its_error_and_a_link(harness):
    @dg.op
    def fails():
        raise dg.Failure(description="10 of 12 jobs failed; the circuit breaker opened")

    @dg.job(name="double_batch")
    def job():
        fails()

    run = job.execute_in_process(instance=harness.instance, raise_on_error=False)
    event = next(e for e in run.all_events if e.event_type_value == "PIPELINE_FAILURE")
    alert = failed_run(run.dagster_run, event, ui_url="http://ui")
    assert (alert.title, alert.analysis) == (f"Run {run.run_id[:8]} of double_batch failed", "double")
    assert alert.text.startswith("10 of 12 jobs failed; the circuit breaker opened")
    assert alert.link == f"http://ui/runs/{run.run_id}"


def test_a_run_that_died_is_reported_too(harness):
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_FAILURE.value, job_name="double_batch", message="it died")
    run = dg.DagsterRun(job_name="double_batch", run_id="0" * 32)
    assert failed_run(run, event, ui_url="http://ui").text == "it died"


def test_rejected_files_are_reported_once_and_again_when_others_are_rejected(harness, hook):
    alerts, titles = hook
    notes, reported = harness.stores.notes, {}
    for _ in range(2):
        assert changed(reported, "files", rejected_files(notes, harness.name), alerts) == []
    harness.write("bad.json", b"{")
    harness.tick()
    for _ in range(3):
        changed(reported, "files", rejected_files(notes, harness.name), alerts)
    assert titles() == [f"1 rejected job file for {harness.name}"]
    harness.write("worse.json", b"[]")
    harness.tick()
    changed(reported, "files", rejected_files(notes, harness.name), alerts)
    assert titles()[1:] == [f"2 rejected job files for {harness.name}"]
    assert isinstance(notes, InboxNotes)


def test_an_audit_that_found_something_is_reported_and_one_that_did_not_is_not(harness, hook):
    alerts, titles = hook
    reported = {}
    assert audit_findings(harness.instance, harness.name, ui_url="http://ui") is None
    checks, _ = build_audit([harness.entry])
    key = next(iter(checks.check_keys))
    for passed, expected in ((True, 0), (False, 1), (False, 1), (True, 1)):
        evaluation = dg.AssetCheckEvaluation(
            asset_key=key.asset_key, check_name=key.name, passed=passed, metadata={}, description="1 files_missing"
        )
        harness.instance.report_runless_asset_event(evaluation)
        changed(reported, "audit", audit_findings(harness.instance, harness.name, ui_url="http://ui"), alerts)
        assert len(titles()) == expected
    assert titles() == [f"The audit of {harness.name} found differences"]


def test_a_tick_of_the_sensor_reports_what_stands_still_and_remembers_it(harness, hook):
    alerts, titles = hook
    harness.write("bad.json", b"{")
    harness.tick()
    _, sensor = build_alert_sensors([harness.entry], ui_url="http://ui")
    resources = {"alerts": alerts, "ledger": harness.stores.ledger, "inbox_notes": harness.stores.notes}
    cursor = None
    for _ in range(2):
        with dg.build_sensor_context(harness.instance, cursor=cursor, resources=resources) as context:
            cursor = sensor.evaluate_tick(context).cursor
    assert titles().count(f"1 rejected job file for {harness.name}") == 1
