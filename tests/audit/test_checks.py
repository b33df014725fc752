"""The audit in Dagster: a check for each analysis, and the schedule that runs them every hour."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._utils.schedules import schedule_execution_time_iterator

from audit.checks import CHECK_NAME, JOB_NAME, SCHEDULE_NAME, build_audit
from engine.assets.materialization import asset_key_of
from engine.assets.runs import UNFINISHED
from tests.audit.test_audit import add_attempt, discard


@pytest.fixture
def judged(platform, sources):
    """Give a function that runs the audit as Dagster does, and returns what its check says."""
    checks, _ = build_audit([platform.entry], ages=sources.ages)

    def judged():
        run = dg.materialize(
            [platform.asset, checks],
            instance=platform.instance,
            resources=platform.resources(),
            selection=dg.AssetSelection.checks(checks),
        )
        assert run.success
        (found,) = run.get_asset_check_evaluations()
        assert (found.asset_key, found.check_name) == (asset_key_of(platform.name), CHECK_NAME)
        return found

    return judged


def test_the_check_passes_where_nothing_differs(judged, done):
    found = judged()
    assert (found.passed, found.description) == (True, "Nothing differs.")


def test_the_check_names_what_differs(platform, judged, done):
    discard(platform, done[0])
    found = judged()
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.description == "1 files_missing"
    (row,) = found.metadata["findings"].records
    assert (row.data["kind"], row.data["job"]) == ("files_missing", done[0])


def test_what_only_stands_still_is_a_warning_and_what_only_takes_space_does_not_turn_it_red(platform, judged, done):
    add_attempt(platform, done[0])
    assert (judged().passed, judged().description) == (True, "1 orphan_attempt")
    platform.instance.add_dynamic_partitions(platform.name, ["0" * 64])
    assert (judged().passed, judged().severity) == (False, dg.AssetCheckSeverity.WARN)


@pytest.fixture
def instance(tmp_path):
    """Give an instance on disk: a schedule opens it from its reference."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found:
        yield found


@pytest.fixture
def tick(platform, instance):
    """Give a function that evaluates a tick of the schedule."""
    _, schedule = build_audit([platform.entry])

    def tick(hour=3):
        when = datetime(2026, 11, 25, hour, tzinfo=UTC)
        with dg.build_schedule_context(instance, scheduled_execution_time=when) as context:
            return schedule.evaluate_tick(context)

    return tick


def test_the_schedule_is_on_and_has_a_tick_every_hour(platform):
    _, schedule = build_audit([platform.entry])
    assert (schedule.name, schedule.default_status) == (SCHEDULE_NAME, dg.DefaultScheduleStatus.RUNNING)
    ticks = next_times(schedule, datetime(2026, 11, 25, 2, 30, tzinfo=UTC), 3)
    assert [when.strftime("%H:%M") for when in ticks] == ["03:00", "04:00", "05:00"]


def next_times(schedule, after, number):
    """Return the next times of a schedule, as Dagster's scheduler computes them."""
    times = schedule_execution_time_iterator(
        after.timestamp(), schedule.cron_schedule, schedule.execution_timezone, ascending=True
    )
    return [next(times) for _ in range(number)]


def test_each_tick_requests_one_audit(tick):
    (request,) = tick().run_requests
    assert request.run_config == {}
    assert request.tags == {"dagster/schedule_name": SCHEDULE_NAME}


def test_no_audit_is_requested_while_one_is_unfinished(tick, instance):
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__"), JOB_NAME)
    for status in UNFINISHED:
        run = create_run_for_test(instance, job_name=JOB_NAME, status=status, remote_job_origin=origin)
        assert tick().skip_message == "The last audit has not ended yet."
        instance.report_run_failed(run)
        assert len(tick(hour=4).run_requests) == 1


def test_a_run_of_another_job_does_not_hold_up_the_audit(tick, instance):
    create_run_for_test(instance, job_name="double_batch", status=dg.DagsterRunStatus.STARTED)
    assert len(tick().run_requests) == 1


def test_the_job_of_the_schedule_holds_every_check(platform):
    checks, schedule = build_audit([platform.entry])
    defs = dg.Definitions(
        assets=[platform.asset], asset_checks=[checks], schedules=[schedule], resources=platform.resources()
    )
    assert schedule.job_name == JOB_NAME
    assert defs.resolve_job_def(JOB_NAME).asset_layer.asset_graph.asset_check_keys >= checks.check_keys
