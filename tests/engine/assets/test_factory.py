"""Batches through Dagster: one run over a range of partitions, in which every job ends for itself."""

import json

import dagster as dg
import psutil
import pytest

from domain.job.identity import keys_digest
from domain.job.state import JobState
from engine.assets.factory import KEYS_TAG
from engine.assets.materialization import provenance_of
from engine.assets.run_failures import LISTED_FAILURES

BAD = {
    "raise": ("exception", "ValueError: the scientist's own error"),
    "segfault": ("crash", "crashed with SIGSEGV"),
    "exit": ("crash", "exited with code 3"),
    "return_none": ("output", "it returned NoneType"),
    "not_finite_refused": ("output", "Not finite: strict"),
    "symlink": ("output", "`link`, which is not an ordinary file"),
    "reserved_name": ("output", "`manifest.json`, a name that the platform keeps"),
    "takes_log_name": ("output", "`analysis.log`, a name that the platform keeps"),
    "unprintable": ("exception", "characters left out"),
    "exits_politely": ("exception", "SystemExit: enough"),
}


def failure_of(result):
    """Give the data of the one step that failed."""
    (event,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    return event.event_specific_data.user_failure_data


def messages(caplog_or_capfd):
    """Give everything that the run logged."""
    return caplog_or_capfd.readouterr().err


def test_every_job_of_a_range_is_materialized_with_metadata_of_its_own(double):
    keys = double.ingest({"number": 1.5}, {"number": 2.0}, {"number": 3.0})
    result = double.run(keys[:2])
    assert result.success
    for key, expected in zip(keys[:2], (3.0, 4.0), strict=True):
        (event,) = double.materializations(key)
        provenance = provenance_of(event.metadata)
        assert event.metadata["double"].value == expected
        assert event.metadata["computed or reused"].value == "computed"
        assert provenance.job_key == key
        assert provenance.run_id == result.run_id
        assert provenance.locations == (double.place,)
        assert event.tags["dagster/code_version"] == double.entry.code_version
        assert event.tags["dagster/data_version"] == provenance.manifest_sha256
        job = double.job(key)
        assert (job.state, job.lease, job.attempt_number) == (JobState.DONE, None, 1)
        assert (job.code_version, job.result_id) == (double.entry.code_version, double.result_id(key))
        assert double.record(key)["location"] == provenance.location
    assert double.materializations(keys[2]) == []
    assert double.job(keys[2]).state is JobState.NEW


def test_the_files_of_a_result_are_those_of_its_manifest(double):
    (key,) = double.ingest({"number": 4.0})
    assert double.run([key]).success
    location, results = double.record(key)["location"], double.services.results
    manifest = json.loads(results.get_bytes(location, "manifest.json"))
    assert [f["path"] for f in manifest["files"]] == ["deep/er/input.txt", "double.txt"]
    assert {f.path for f in results.list_files(location)} == {
        "analysis.log",
        "deep/er/input.txt",
        "double.txt",
        "manifest.json",
        "metadata.nd.json",
    }
    assert json.loads(results.get_bytes(location, "metadata.nd.json")) == double.record(key)
    assert results.get_bytes(location, "double.txt") == b"8.0\n"


def test_the_asset_says_what_the_analysis_takes_and_gives(double):
    spec = next(iter(double.asset.specs))
    (row,) = spec.metadata["parameters"].records
    assert tuple(row.data.values()) == ("number", "number", "no unit", "1.0", "", "The number.")
    assert tuple(spec.metadata["outputs"].records[0].data.values()) == (
        "double",
        "number",
        "no unit",
        "Twice the number.",
    )
    assert (spec.group_name, list(spec.owners)) == ("double", ["team:tests"])
    assert spec.code_version == double.entry.code_version
    assert double.asset.partitions_def == dg.DynamicPartitionsDefinition(name="double")


def check_failures_are_shown_on_their_partitions(platform, bad):
    found = platform.instance.fetch_observations(platform.asset.key, limit=len(bad) + 5).records
    shown = {record.partition_key: record.asset_observation for record in found}
    assert set(shown) == set(bad.values())
    reported = shown[bad["raise"]]
    assert reported.metadata["failed"].value == "exception"
    assert "the scientist's own error" in reported.metadata["traceback"].value
    assert "engine/worker" not in reported.metadata["traceback"].value


def test_a_result_says_why_it_is_new_and_a_reused_one_why_it_was_not_computed(double):
    keys = double.ingest({"number": 40.0}, {"number": 41.0})
    assert double.run(keys[:1]).success
    assert double.run(keys).success
    reused, computed = double.materializations(keys[0])[0], double.materializations(keys[1])[0]
    why = computed.metadata["why"].value
    assert why.startswith("New: the nearest earlier result, ")
    assert why.endswith("differs in parameter `number`: 40 -> 41.")
    assert double.record(keys[1])["analysis_assets"]["why"] == why
    rows = computed.metadata["attempts"].records
    assert [row.data["outcome"] for row in rows] == ["done"]
    run = double.record(keys[0])["analysis_assets"]["run_id"]
    assert reused.metadata["why"].value.startswith("Not computed again: the same inputs, parameters and code gave ")
    assert f" by run {run}. Then: " in reused.metadata["why"].value


@pytest.mark.slow
def test_bad_jobs_fail_alone_and_the_run_names_them(misbehave, marks):
    good = misbehave.ingest({"number": 1}, {"mode": "not_finite"}, {"mode": "print"}, {"mode": "closes_stdout"})
    bad = dict(zip(BAD, misbehave.ingest(*[{"mode": mode, "note": marks[0]} for mode in BAD]), strict=True))
    last = misbehave.ingest({"number": 2}, {"mode": "float32"})
    result = misbehave.run([*good, *bad.values(), *last])
    assert not result.success
    for key in (*good, *last):
        assert misbehave.job(key).state is JobState.DONE
        assert len(misbehave.materializations(key)) == 1
    failure = failure_of(result)
    assert failure.description.startswith("10 of 16 jobs failed; the others succeeded. First: ")
    for mode, (kind, part) in BAD.items():
        job = misbehave.job(bad[mode])
        assert job.state is JobState.FAILED, mode
        assert (job.error.kind, job.error.permanent) == (kind, True), mode
        assert part in job.error.message, mode
        assert len(job.error.message) < 20_000
        assert job.attempts[-1].error.kind == kind
        assert bad[mode] in failure.metadata["failed"].value
        assert misbehave.record(bad[mode]) is None
        assert misbehave.attempts_stored(bad[mode]) == set()
    assert marks[1]() == len(BAD), "a permanent fault is not tried again"
    check_failures_are_shown_on_their_partitions(misbehave, bad)
    check_what_was_captured(misbehave, bad, failure)
    for key in (good[1], last[1]):
        provenance = provenance_of(misbehave.materializations(key)[0].metadata)
        assert provenance.outputs["measure"] is None
        assert provenance.not_finite == ("measure",)
    log = misbehave.services.results.get_bytes(misbehave.record(good[2])["location"], "analysis.log")
    assert b"printed by the analysis\n" in log
    assert b"printed by a child\n" in log


def check_what_was_captured(misbehave, bad, failure):
    """Look for the scientist's traceback and the captured output of bad jobs."""
    error = misbehave.job(bad["raise"]).error
    assert "in _fails_here" in error.traceback
    assert "misbehave.py" in error.traceback
    assert "engine/worker" not in error.traceback, "the platform's frames are nobody's business"
    assert error.traceback in error.log
    assert "Fatal Python error: Segmentation fault" in misbehave.job(bad["segfault"]).error.log
    assert error.traceback in failure.metadata["tracebacks"].value


def test_a_killed_job_is_tried_again_as_often_as_its_policy_allows(misbehave, marks):
    keys = misbehave.ingest({"mode": "kill", "note": marks[0]}, {"number": 1})
    assert not misbehave.run(keys).success
    assert marks[1]() == 2
    job = misbehave.job(keys[0])
    assert (job.state, job.error.kind, job.error.permanent) == (JobState.FAILED, "killed", False)
    assert [a.outcome for a in job.attempts] == ["released", "failed"]
    assert misbehave.job(keys[1]).state is JobState.DONE


def test_a_transient_fault_is_repeated_and_reported(misbehave, marks, capfd):
    (key,) = misbehave.ingest({"mode": "transient_once", "note": marks[0]})
    assert misbehave.run([key]).success
    assert marks[1]() == 2
    assert misbehave.job(key).attempt_number == 2
    assert "Attempt 1 failed and is repeated: ConnectionError: try again" in messages(capfd)


def test_a_job_over_its_time_limit_ends_with_everything_it_started(misbehave, marks):
    (key,) = misbehave.ingest({"mode": "grandchild", "note": marks[0]})
    assert not misbehave.run([key]).success
    error = misbehave.job(key).error
    assert (error.kind, error.permanent) == ("time_limit", True)
    assert "time limit of 3 s" in error.message
    assert marks[1]() == 1
    assert [p for p in psutil.process_iter() if marks[0] in _command(p)] == []


def test_more_failures_than_fit_are_counted(double):
    keys = [f"{n:064}" for n in range(LISTED_FAILURES + 3)]
    double.instance.add_dynamic_partitions("double", keys)
    failure = failure_of(double.run(keys))
    assert failure.metadata["failed"].value.splitlines()[-1] == "- and 3 more"


def test_a_partition_without_a_job_fails_and_says_what_to_do(double):
    (key,) = double.ingest({"number": 1.0})
    double.instance.add_dynamic_partitions("double", ["0" * 64])
    failure = failure_of(double.run([key, "0" * 64]))
    assert "No job is stored under 000" in failure.description
    assert "submit its job file again, or delete the partition" in failure.description
    assert double.job(key).state is JobState.DONE


def test_a_job_whose_model_changed_names_the_fields(double):
    keys = double.ingest({"number": 1.0}, {"number": 2.0}, {"number": 3.0})
    double.change(keys[0], parameters={"number": 5.0, "window": 3})
    double.change(keys[1], parameters={})
    result = double.run(keys)
    assert not result.success
    for key, field in ((keys[0], "window"), (keys[1], "number")):
        error = double.job(key).error
        assert (error.kind, error.permanent) == ("job_changed", True)
        assert f"`{field}`" in error.message
        assert "under its new key" in error.message
        assert double.job(key).attempt_number == 0
    assert double.job(keys[2]).state is JobState.DONE


def test_a_run_for_other_partitions_than_its_range_means_now_executes_nothing(double):
    keys = double.ingest({"number": 1.0}, {"number": 2.0})
    result = double.run(keys, tags={KEYS_TAG: keys_digest(keys[:1])})
    assert not result.success
    assert "other partitions than the 2 that its range means now" in failure_of(result).description
    assert [double.job(key).attempt_number for key in keys] == [0, 0]
    assert double.run(keys, tags={KEYS_TAG: keys_digest(keys)}).success


def test_a_range_of_no_partitions_fails_and_executes_nothing(double):
    keys = double.ingest({"number": 1.0}, {"number": 2.0})
    result = double.run(keys[::-1])
    assert not result.success
    assert "covers no partition" in failure_of(result).description
    assert [double.job(key).attempt_number for key in keys] == [0, 0]


def test_a_second_run_computes_nothing_and_materializes_again(misbehave, marks):
    keys = misbehave.ingest({"number": 1, "note": marks[0], "mode": "figure"}, {"number": 2, "note": marks[0]})
    assert misbehave.run(keys).success
    assert misbehave.run(keys).success
    assert marks[1]() == 2
    for key in keys:
        newest, first = misbehave.materializations(key)
        assert newest.metadata["computed or reused"].value == "reused"
        assert provenance_of(newest.metadata) == provenance_of(first.metadata)
        assert misbehave.job(key).attempt_number == 1
    newest, first = misbehave.materializations(keys[0])
    assert newest.metadata["figure"] == first.metadata["figure"]
    assert "figure" not in misbehave.materializations(keys[1])[0].metadata


def test_results_are_shown_again_to_a_dagster_that_lost_everything(double):
    keys = double.ingest({"number": 1.0}, {"number": 2.0})
    assert double.run(keys).success
    with dg.DagsterInstance.ephemeral() as other:
        other.add_dynamic_partitions("double", keys)
        assert double.run(keys, instance=other).success
        assert [len(double.materializations(key, instance=other)) for key in keys] == [1, 1]
    assert [double.job(key).attempt_number for key in keys] == [1, 1]


def test_a_forced_run_makes_a_new_attempt_for_a_reason(double):
    (key,) = double.ingest({"number": 1.0})
    assert double.run([key]).success
    old = double.record(key)
    assert double.run([key], config={"force_reason": "a new drift correction"}).success
    new = double.record(key)
    assert new["location"] != old["location"]
    assert provenance_of(double.materializations(key)[0].metadata).reason == "a new drift correction"
    (kept,) = double.superseded(key)
    assert kept["location"] == old["location"]
    assert kept["superseded"]["reason"] == "a new drift correction"
    assert kept["superseded"]["who"]
    assert double.services.results.list_files(old["location"]), "nothing is deleted"


def test_a_dry_run_shows_the_record_and_touches_nothing(double, verbs, capfd):
    keys = double.ingest({"number": 21.0}, {"number": 22.0})
    double.change(keys[1], parameters={})
    before = [double.job(key) for key in keys]
    assert double.run(keys, config={"dry_run": True}).success
    reported = messages(capfd)
    assert f"{keys[0]}: dry run, nothing stored. Record:" in reported
    assert "'double': 42.0" in reported
    assert f"{keys[1]} failed (job_changed)" in reported
    assert [double.job(key) for key in keys] == before
    assert verbs.calls == []
    assert double.record(keys[0]) is None
    assert double.materializations(keys[0]) == []
    assert double.attempts_stored(keys[0]) == set()


def test_the_setting_makes_every_run_a_dry_run(make_platform, misbehave):
    dry = make_platform(misbehave.entry, dry_run=True)
    keys = dry.ingest({"number": 1}, {"mode": "raise"}, {"mode": "symlink"})
    assert dry.run(keys).success, "a dry run reports, and fails nobody"
    assert [dry.job(key).state for key in keys] == [JobState.NEW] * 3


def test_failed_jobs_are_tried_again_by_hand_but_not_by_the_sensors_runs(misbehave, marks):
    (key,) = misbehave.ingest({"mode": "raise", "note": marks[0]})
    assert not misbehave.run([key]).success
    result = misbehave.run([key], tags={KEYS_TAG: keys_digest([key])})
    assert not result.success
    assert "the scientist's own error" in failure_of(result).description
    assert marks[1]() == 1
    assert not misbehave.run([key]).success
    assert marks[1]() == 2


def _command(process):
    """Give a process's arguments; those of one that is gone are empty."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
