"""When updates of tables are requested, and what their runs store."""

import json
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from domain.job.state import JobState
from engine.assets.runs import is_run_of
from results_table import sensor
from results_table.age import build_age_check
from results_table.names import JOB_NAME, TAG, report_key_of, table_key_of
from results_table.sensor import BUSY_S, LATE_S, QUIET_S, failures_in_a_row, is_updating, tick

RUN = dg.DagsterRunStatus


@pytest.fixture
def instance():
    """Give a new Dagster instance."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


class Clockwork:
    """The sensor, tick by tick, with a clock that the test moves."""

    def __init__(self, harness, instance):
        self.harness, self.instance, self.cursor = harness, instance, None

    def tick(self, *, after=0.0):
        """Evaluate the sensor once; gives the analyses that it requests."""
        self.harness.wait(after)
        found = tick(self.instance, self.cursor, [self.harness.entry], self.harness.ledger)
        assert isinstance(found, dg.SensorResult)
        self.cursor = found.cursor
        self.told = found.skip_reason.skip_message if found.skip_reason else ""
        return [request.tags[TAG] for request in found.run_requests or ()]

    def run(self, status, **more):
        """Add a run of the table, as the sensor requests it."""
        tags = {TAG: self.harness.name}
        return create_run_for_test(self.instance, job_name=JOB_NAME, tags=tags, status=status, **more)


@pytest.fixture
def clockwork(harness, instance):
    """Give the sensor of one analysis."""
    return Clockwork(harness, instance)


def requested(clockwork):
    """Let the sensor request an update of the table."""
    clockwork.harness.fail(1)
    assert clockwork.tick() == []
    assert clockwork.tick(after=QUIET_S) == ["rich"]


def test_without_jobs_nothing_is_requested(clockwork):
    assert clockwork.tick() == clockwork.tick(after=BUSY_S) == []


def test_a_change_is_requested_once_when_nothing_waits_or_runs(clockwork):
    requested(clockwork)
    assert clockwork.tick(after=10 * BUSY_S) == []
    clockwork.harness.fail(2)
    assert clockwork.tick() == []
    clockwork.harness.wait(QUIET_S / 2)
    clockwork.harness.recover(2)
    assert clockwork.tick(after=QUIET_S - 1) == []
    assert clockwork.tick(after=1) == ["rich"]


def test_while_jobs_wait_it_is_requested_every_ten_minutes(clockwork):
    requested(clockwork)
    harness = clockwork.harness
    key = harness.fail(2)
    harness.ledger.requests.requeue(harness.name, [key], who="test")
    assert clockwork.tick(after=BUSY_S - 1) == []
    assert "due in" in clockwork.told
    assert clockwork.tick(after=1) == ["rich"]


def test_other_code_makes_results_outdated_and_is_requested(clockwork):
    requested(clockwork)
    object.__setattr__(clockwork.harness.entry, "code_version", "2+bbbbbbbbbbbb")
    assert clockwork.tick(after=QUIET_S) == ["rich"]


def test_never_two_at_once(clockwork):
    requested(clockwork)
    clockwork.run(RUN.STARTED)
    clockwork.harness.fail(2)
    assert clockwork.tick(after=BUSY_S) == []
    assert "being updated" in clockwork.told


def test_a_run_by_hand_counts_as_one_and_others_do_not(clockwork, instance):
    for selection, name, is_it in (
        (frozenset([table_key_of("rich")]), "__ASSET_JOB", True),
        (frozenset([table_key_of("other")]), "__ASSET_JOB", False),
        (frozenset([dg.AssetKey(["analysis", "rich"])]), "__ASSET_JOB", False),
        (None, JOB_NAME, True),
        (None, "rich_batch", False),
    ):
        run = create_run_for_test(instance, job_name=name, asset_selection=selection, status=RUN.STARTED)
        assert is_updating(instance, "rich") == is_it
        assert not (is_it and is_run_of(run, "rich")), "it computes no job of the analysis"
        instance.delete_run(run.run_id)


def test_a_catalog_that_cannot_be_made_is_tried_less_and_less_often(clockwork):
    requested(clockwork)
    asked, step = [], 30
    clockwork.run(RUN.FAILURE)
    for number in range(3 * 3600 // step):
        if clockwork.tick(after=step):
            asked.append(number * step)
            clockwork.run(RUN.FAILURE)
    assert asked[0] <= 2 * 60
    assert 4 <= len(asked) <= 8
    clockwork.run(RUN.SUCCESS)
    assert failures_in_a_row(clockwork.instance, "rich") == 0
    assert clockwork.tick(after=7200) == []


def test_a_run_that_a_person_ended_is_not_requested_again(clockwork):
    requested(clockwork)
    clockwork.run(RUN.CANCELED)
    assert clockwork.tick(after=7200) == []


@pytest.mark.parametrize("cursor", [None, "", "no json", "[]", '{"rich": 1}', '{"rich": {"x": "y"}}'])
def test_a_cursor_that_cannot_be_read_is_forgotten(clockwork, cursor):
    clockwork.cursor = cursor
    requested(clockwork)


def test_a_request_is_for_one_analysis_and_passes_batches(clockwork):
    clockwork.harness.fail(1)
    clockwork.tick()
    clockwork.harness.wait(QUIET_S)
    (request,) = tick(
        clockwork.instance, clockwork.cursor, [clockwork.harness.entry], clockwork.harness.ledger
    ).run_requests
    assert request.asset_selection == [table_key_of("rich"), report_key_of("rich")]
    assert int(request.tags["dagster/priority"]) > 0
    assert json.loads(clockwork.cursor)["rich"]["seen"] == ""
    assert sensor.LOOK_EVERY_S <= QUIET_S
    assert clockwork.harness.ledger.jobs.counts("rich")[JobState.FAILED] == 1


def late_tick(clockwork, *, after=0.0):
    """Evaluate the sensor once with the records at hand; gives the verdicts on the table's age that it reports."""
    harness = clockwork.harness
    harness.wait(after)
    found = tick(clockwork.instance, clockwork.cursor, [harness.entry], harness.ledger, records=harness.records)
    clockwork.cursor = found.cursor
    for event in found.asset_events:
        clockwork.instance.report_runless_asset_event(event)
    return [(event.passed, event.description) for event in found.asset_events]


def test_a_table_that_is_overdue_is_reported_once_and_so_is_its_update(clockwork):
    harness, instance = clockwork.harness, clockwork.instance
    assert late_tick(clockwork) == late_tick(clockwork, after=LATE_S + 1) == [], "there is no table yet"
    instance.report_runless_asset_event(dg.AssetMaterialization(table_key_of(harness.name)))
    assert late_tick(clockwork, after=LATE_S + 1) == [], "there is no newer result"
    harness.publish(1, ended=harness.ledger.now())
    ((passed, said),) = late_tick(clockwork)
    assert not passed
    assert "1 newer result exists" in said
    assert late_tick(clockwork) == []
    check = build_age_check(harness.entry)
    only, stores = dg.AssetSelection.checks(check), {"record_store": harness.records}
    result = dg.materialize([check], instance=instance, resources=stores, selection=only)
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.description, evaluation.severity.value) == (False, said, "WARN")
    harness.ledger = harness.ledger.later(-harness.ledger.late_s)  # the table is new now
    instance.report_runless_asset_event(dg.AssetMaterialization(table_key_of(harness.name)))
    assert late_tick(clockwork) == [(True, None)]
    assert late_tick(clockwork) == []


def test_a_table_is_not_overdue_while_its_update_may_still_come(clockwork):
    clockwork.instance.report_runless_asset_event(dg.AssetMaterialization(table_key_of(clockwork.harness.name)))
    clockwork.harness.publish(1, ended=clockwork.harness.ledger.now() + timedelta(seconds=60))
    assert late_tick(clockwork, after=LATE_S - 60) == []
