"""The audit in Dagster: a check for each analysis, and the hourly sensor."""

import dagster as dg
import pytest

from audit.checks import CHECK_NAME, EVERY_S, JOB_NAME, build_audit, next_audit
from engine.assets.materialization import asset_key_of
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


def test_the_first_audit_comes_after_an_hour_and_one_every_hour_then():
    first = next_audit(None, lambda: 1000.0, is_at_work=lambda: False)
    assert (first.run_requests or [], first.cursor) == ([], "1000.0")
    assert "in 59 minutes" in next_audit("1000.0", lambda: 1060.0, is_at_work=lambda: False).skip_message
    later = next_audit("1000.0", lambda: 1000.0 + EVERY_S, is_at_work=lambda: False)
    assert ([r.run_key for r in later.run_requests], later.cursor) == (["audit-4600"], "4600.0")


def test_an_audit_that_has_not_ended_is_waited_for():
    found = next_audit("0", lambda: 2 * EVERY_S, is_at_work=lambda: True)
    assert found.skip_message == "The last audit has not ended yet."


def test_the_sensor_asks_for_the_job_that_holds_every_check(platform):
    checks, sensor = build_audit([platform.entry])
    defs = dg.Definitions(
        assets=[platform.asset], asset_checks=[checks], sensors=[sensor], resources=platform.resources()
    )
    assert defs.resolve_job_def(JOB_NAME)
    with dg.build_sensor_context(platform.instance, cursor="0") as context:
        found = sensor.evaluate_tick(context)
    assert [request.run_key.startswith("audit-") for request in found.run_requests] == [True]
