"""Declared checks in Dagster: one verdict for each partition, by runs and by a person."""

import dagster as dg
import pytest

from domain.analysis.builtin_checks import BUILT_IN, FILES_MATCH_MANIFEST, RECORD_IS_VALID
from engine.assets.builtin_checks import after_listing
from engine.assets.checks import build_checks, judge_reused
from engine.assets.factory import partitions_of
from engine.assets.materialization import asset_key_of, materialization
from tests.raw import records_of

KEY = dg.AssetCheckKey(asset_key_of("double"), "is_positive")
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def verdicts_in_dagster(instance, name=KEY.name):
    """Return what Dagster knows of a check: for each partition whether it passed and why, latest first."""
    key = dg.AssetCheckKey(KEY.asset_key, name)
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
    events = [r.event.dagster_event.event_specific_data for r in records if r.event is not None]
    return [(e.partition, e.passed, e.description) for e in events if isinstance(e, dg.AssetCheckEvaluation)]


def test_a_run_reports_the_verdict_of_each_result_and_goes_on(double):
    good, bad = double.ingest({"number": 2}, {"number": -2})
    result = double.run([good, bad])
    assert result.success
    assert sorted(verdicts_in_dagster(double.instance)) == sorted(
        [(good, True, None), (bad, False, "-4.0 is not above zero")]
    )
    assert len(double.materializations(bad)) == 1


def test_a_check_that_does_not_pass_is_a_warning_with_the_outputs_beside_it(double):
    (key,) = double.ingest({"number": -2})
    double.run([key])
    (record,) = double.instance.event_log_storage.get_asset_check_execution_history(KEY, limit=5)
    found = record.event.dagster_event.event_specific_data
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert found.metadata["outputs"].value == {"double": -4.0}


def test_a_reused_result_is_judged_too(double):
    (key,) = double.ingest({"number": 3})
    double.work(key)
    double.run([key])
    assert verdicts_in_dagster(double.instance) == [(key, True, None)]


def test_a_person_judges_stored_results_again_without_computing(double):
    done, missing = double.ingest({"number": 4}, {"number": 5})
    double.work(done)
    checks = build_checks(double.entry, partitions_of("double"))
    job = dg.Definitions(
        assets=[double.asset],
        asset_checks=[checks],
        jobs=[dg.define_asset_job("judge", selection=dg.AssetSelection.checks(checks))],
        resources=double.resources(),
        executor=dg.in_process_executor,
    ).resolve_job_def("judge")
    result = job.execute_in_process(instance=double.instance, tags={RANGE_START: done, RANGE_END: missing})
    assert result.success
    assert verdicts_in_dagster(double.instance) == [(done, True, None)]
    assert double.job(missing).attempts == ()


def test_a_result_that_no_run_reports_is_judged_once_however_often_it_is_reported(double):
    (key,) = double.ingest({"number": 6})
    provenance = double.work(key)[key].provenance
    for _ in range(3):
        judge_reused(double.instance, double.entry, provenance, after_listing(double.record(key), provenance))
    assert verdicts_in_dagster(double.instance) == [(key, True, None)]


def test_an_analysis_that_declares_none_has_the_built_in_ones(misbehave):
    checks = build_checks(misbehave.entry, partitions_of("misbehave"))
    assert {key.name for key in checks.check_keys} == set(BUILT_IN)


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_a_run_reports_the_built_in_verdicts_of_what_it_made_and_of_what_was_there(name, double):
    there, new = double.ingest({"number": 7}, {"number": 8})
    double.work(there)
    assert double.run([there, new]).success
    found = {partition: (passed, words) for partition, passed, words in verdicts_in_dagster(double.instance, name)}
    assert {partition: passed for partition, (passed, _) in found.items()} == {there: True, new: True}
    if name == FILES_MATCH_MANIFEST:
        assert "by a listing" in found[there][1]
        assert "by the server's answer to each upload" in found[new][1]


def statuses(platform, name):
    """Return what Dagster shows on the partitions of a check; none where a verdict is not about the latest result."""
    key = dg.AssetCheckKey(asset_key_of(platform.name), name)
    infos = platform.instance.event_log_storage.get_asset_check_partition_info([key])
    return {info.partition_key: info.latest_execution_status.value for info in infos if info.is_current}


@pytest.mark.parametrize("name", [*BUILT_IN, "is_positive"])
def test_every_partition_shows_the_verdict_on_its_latest_result(name, double):
    first, second, adopted = double.ingest({"number": 13}, {"number": 14}, {"number": 15})
    assert double.run([first, second]).success
    assert statuses(double, name) == {first: "SUCCEEDED", second: "SUCCEEDED"}
    assert double.run([first]).success
    assert statuses(double, name) == {first: "SUCCEEDED", second: "SUCCEEDED"}
    provenance = double.work(adopted)[adopted].provenance
    reported = materialization(provenance, results=double.services.results, figure=None, reused=True)
    double.instance.report_runless_asset_event(reported)
    judge_reused(double.instance, double.entry, provenance, after_listing(double.record(adopted), provenance))
    assert statuses(double, name) == dict.fromkeys([first, second, adopted], "SUCCEEDED")
    judge(double, [first, adopted])
    assert statuses(double, name) == dict.fromkeys([first, second, adopted], "SUCCEEDED")


def judge(platform, keys):
    """Execute the checks by hand."""
    checks = build_checks(platform.entry, partitions_of(platform.name))
    defs = dg.Definitions(
        assets=[platform.asset],
        asset_checks=[checks],
        jobs=[dg.define_asset_job("judge", selection=dg.AssetSelection.checks(checks))],
        resources=platform.resources(),
        executor=dg.in_process_executor,
    )
    tags = {RANGE_START: keys[0], RANGE_END: keys[-1]}
    assert defs.resolve_job_def("judge").execute_in_process(instance=platform.instance, tags=tags).success


def latest(platform, name):
    """Return the latest verdict on each partition."""
    return {
        partition: (passed, words)
        for partition, passed, words in reversed(verdicts_in_dagster(platform.instance, name))
    }


def test_by_hand_the_files_are_listed_again_and_the_record_is_fetched_again(double):
    good, no_file, no_record = double.ingest({"number": 9}, {"number": 10}, {"number": 11})
    assert double.run([good, no_record]).success
    results = double.services.results
    bucket, _, folder = double.record(no_file)["location"].removeprefix("s3://").partition("/")
    results.s3.client.delete_object(Bucket=bucket, Key=f"{folder}/double.txt")
    records = records_of(double.services.records)
    changed = {"processing.data_processes.0.start_date_time": 7}
    records.update_one({"_id": double.result_id(no_record)}, {"$set": changed})
    judge(double, [good, no_record])
    files, record = latest(double, FILES_MATCH_MANIFEST), latest(double, RECORD_IS_VALID)
    assert files[good][0]
    assert record[good][0]
    assert files[no_file][0] is False
    assert "double.txt is missing" in files[no_file][1]
    assert record[no_file][0]
    assert record[no_record][0] is False
    assert "cannot be read back" in record[no_record][1]


def test_a_verdict_that_was_planned_by_a_launch_is_filled_in(double):
    (key,) = double.ingest({"number": 12})
    double.work(key)
    judge(double, [key])
    judge(double, [key])
    assert [passed for _, passed, _ in verdicts_in_dagster(double.instance, RECORD_IS_VALID)] == [True, True]
