"""Declared checks in Dagster: one verdict for each partition, by runs and by a person."""

import dagster as dg
import pytest

from analysis_assets._asset import partitions_of
from analysis_assets._checks import build_checks, judge_adopted
from analysis_assets._materialization import asset_key_of

KEY = dg.AssetCheckKey(asset_key_of("double"), "is_positive")
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def told(instance):
    """Return what Dagster knows of the check: for each partition whether it passed and why, latest first."""
    records = instance.event_log_storage.get_asset_check_execution_history(KEY, limit=50)
    events = [r.event.dagster_event.event_specific_data for r in records if r.event is not None]
    return [(e.partition, e.passed, e.description) for e in events if isinstance(e, dg.AssetCheckEvaluation)]


def test_a_run_tells_the_verdict_of_each_result_and_goes_on(double):
    good, bad = double.take_in({"number": 2}, {"number": -2})
    result = double.run([good, bad])
    assert result.success
    assert sorted(told(double.instance)) == sorted([(good, True, None), (bad, False, "-4.0 is not above zero")])
    assert len(double.materializations(bad)) == 1


def test_a_check_that_does_not_pass_is_a_warning_with_the_outputs_beside_it(double):
    (key,) = double.take_in({"number": -2})
    double.run([key])
    (record,) = double.instance.event_log_storage.get_asset_check_execution_history(KEY, limit=5)
    found = record.event.dagster_event.event_specific_data
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert found.metadata["outputs"].value == {"double": -4.0}


def test_a_reused_result_is_judged_too(double):
    (key,) = double.take_in({"number": 3})
    double.work(key)
    double.run([key])
    assert told(double.instance) == [(key, True, None)]


def test_a_person_judges_stored_results_again_without_computing(double):
    done, missing = double.take_in({"number": 4}, {"number": 5})
    double.work(done)
    (checks,) = build_checks(double.entry, partitions_of("double"))
    job = dg.Definitions(
        assets=[double.asset],
        asset_checks=[checks],
        jobs=[dg.define_asset_job("judge", selection=dg.AssetSelection.checks(checks))],
        resources=double.resources(),
        executor=dg.in_process_executor,
    ).resolve_job_def("judge")
    result = job.execute_in_process(instance=double.instance, tags={RANGE_START: done, RANGE_END: missing})
    assert result.success
    assert told(double.instance) == [(done, True, None)]
    assert double.job(missing).attempts == ()


def test_a_result_that_no_run_reports_is_judged_once_however_often_it_is_told(double):
    (key,) = double.take_in({"number": 6})
    provenance = double.work(key)[key].provenance
    for _ in range(3):
        judge_adopted(double.instance, double.entry, provenance)
    assert told(double.instance) == [(key, True, None)]


def test_a_result_of_an_analysis_without_checks_is_told_without_any(misbehave):
    (key,) = misbehave.take_in({"number": 6})
    judge_adopted(misbehave.instance, misbehave.entry, misbehave.work(key)[key].provenance)
    assert misbehave.instance.event_log_storage.get_asset_check_execution_history(KEY, limit=5) == []


@pytest.mark.parametrize("name", ["misbehave"])
def test_an_analysis_that_declares_none_has_none(name, request):
    platform = request.getfixturevalue(name)
    assert build_checks(platform.entry, partitions_of(name)) == []
