"""Why a job is in the state that it is in: every state, by file and by key."""

import json

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from commands.dagster_processes import prepare_dagster_home
from commands.explain import explain, judge
from commands.jobs import submit
from commands.queue import is_queued_in
from domain.errors import JobFileError, UnknownJobError
from domain.identity import result_id
from domain.job_state import JobError, JobState
from domain.records import to_record
from sensors.runs import job_name_of
from tests.provenances import sparse

FILE = {"s3_location": ["S3://bucket/asset/"], "distributed_parameters": {"number": 2, "dry_run": True}}


@pytest.fixture
def path(tmp_path):
    """Write a job file that is in no inbox."""
    path = tmp_path / "job.json"
    path.write_text(json.dumps(FILE), encoding="utf-8")
    return str(path)


@pytest.fixture
def key(platform, path):
    """Submit the job."""
    return submit(platform, "double", [path], by_hand={})[0].job_key


def claim(platform, key, version=None):
    ledger, entry = platform.connections.ledger, platform.entry("double")
    return ledger.claim(
        ledger.get("double", key),
        attempt="a",
        owner="w",
        run_id="the-run",
        code_version=version or entry.code_version,
        states=list(JobState),
    )


def finish(platform, key, *, version=None, record=True):
    version = version or platform.entry("double").code_version
    claimed = claim(platform, key, version)
    result = result_id("double", version, key)
    if record:
        made = sparse(analysis="double", job_key=key, code_version=version, result_id=result)
        platform.connections.record_store.insert_once(to_record(made))
    platform.connections.ledger.finish(claimed, attempt="a", code_version=version, result_id=result)


def fail(platform, key, **error):
    error = JobError(**({"kind": "exception", "message": "ValueError: no", "permanent": True} | error))
    version = platform.entry("double").code_version
    platform.connections.ledger.fail(claim(platform, key), attempt="a", code_version=version, error=error)


def both(platform, key, path, **options):
    """Explain a job by its key and by its file: the answers agree."""
    by_key, by_file = (explain(platform, "double", target, **options) for target in (key, path))
    assert by_key == by_file
    return by_key.state, by_key.reason


def test_a_file_in_no_inbox_is_explained_before_anybody_asked_for_it(platform, path):
    found = explain(platform, "double", path)
    assert (found.state, found.analysis) == ("unknown", "double")
    assert "put its file into the inbox, or submit it" in found.reason
    assert found.inputs == {"locations": ["s3://bucket/asset"], "files": []}
    assert (found.parameters, found.origins) == ({"number": 2.0}, {"number": "distributed_parameters"})
    assert found.stripped == {"dry_run": "distributed_parameters"}
    assert found.code_version == platform.entry("double").code_version
    assert found.result_id == result_id("double", found.code_version, found.job_key)
    assert sum(platform.connections.ledger.counts("double").values()) == 0
    shown = found.as_dict()
    assert json.loads(json.dumps(shown)) == shown


def test_a_new_job(platform, key, path):
    assert both(platform, key, path) == ("new", "It waits for the sensor's next tick to ask for a run.")


def test_a_new_job_that_is_forced_says_why(platform, key, path):
    platform.connections.ledger.ask_again("double", [key], who="me", reason="drift", force=True)
    assert both(platform, key, path)[1].endswith("It is computed again: drift.")


def test_a_queued_job(platform, key, path, settings):
    assert both(platform, key, path, is_queued=is_queued_in(settings))[0] == "new"  # Dagster has no home yet
    home = prepare_dagster_home(settings)
    assert both(platform, key, path, is_queued=is_queued_in(settings))[0] == "new"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("double", [key])
        tags = {"dagster/asset_partition_range_start": key, "dagster/asset_partition_range_end": key}
        status = dg.DagsterRunStatus.STARTED
        create_run_for_test(instance, job_name=job_name_of("double"), tags=tags, status=status)
    state, reason = both(platform, key, path, is_queued=is_queued_in(settings))
    assert (state, reason) == ("queued", "It waits in a run that has not ended.")


def test_a_running_job(platform, key, path):
    claim(platform, key)
    assert both(platform, key, path) == ("running", "Run the-run works on it, attempt number 1.")


def test_a_done_job(platform, key, path):
    finish(platform, key)
    state, reason = both(platform, key, path)
    assert state == "done"
    assert "asking again computes nothing" in reason


def test_a_job_of_another_ledger_whose_result_is_here(platform, key, path):
    finish(platform, key)
    platform.connections.ledger.mongo.collection("results_jobs").delete_many({})
    found = explain(platform, "double", path)
    assert (found.state, "no job of this ledger asked for it" in found.reason) == ("done", True)


def test_an_outdated_job(platform, key, path):
    finish(platform, key, version="0+earlier")
    state, reason = both(platform, key, path)
    assert state == "outdated"
    version = platform.entry("double").code_version
    assert reason == f"Its result was made by code 0+earlier; the code is now {version}."


def test_a_done_job_whose_record_is_missing(platform, key, path):
    finish(platform, key, record=False)
    state, reason = both(platform, key, path)
    assert (state, "its record is missing; rerun it" in reason) == ("outdated", True)


def test_a_failed_job(platform, key, path):
    fail(platform, key)
    state, reason = both(platform, key, path)
    assert state == "failed"
    expected = "It failed after 1 attempts (permanent: change something, then rerun it): ValueError: no"
    assert reason == expected
    fail(platform, key, permanent=False)
    assert "transient: rerun it" in both(platform, key, path)[1]


def test_an_invalidated_job(platform, key, path):
    fail(platform, key, kind="invalidated", message="wrong channel map")
    assert both(platform, key, path) == ("invalidated", "Its result was declared wrong: wrong channel map")


def test_a_failed_job_without_a_reason(platform, key):
    job = platform.connections.ledger.get("double", key).model_copy(update={"state": JobState.FAILED})
    assert judge(job, "1", has_record=False, queued=False)[1].endswith("no reason was kept")


def test_a_running_job_without_a_lease(platform, key):
    job = platform.connections.ledger.get("double", key).model_copy(update={"state": JobState.RUNNING})
    assert "an unknown run" in judge(job, "1", has_record=False, queued=False)[1]


def test_fixed_parameters_of_the_inbox_count_unless_others_are_given(platform, tmp_path):
    platform.connections.job_inbox.write("double", "analysis_parameters.json", b'{"number": 3}')
    (tmp_path / "fixed.json").write_bytes(b'{"fixed_parameters": {"number": 4}}')
    (tmp_path / "bad.json").write_bytes(b"{")
    assert explain(platform, "double", "s3://b/a").parameters == {"number": 3.0}
    found = explain(platform, "double", "s3://b/a", fixed_file=tmp_path / "fixed.json")
    assert (found.parameters, found.origins) == ({"number": 4.0}, {"number": "fixed_parameters"})
    for name in ("bad.json", "missing.json"):
        with pytest.raises(JobFileError, match=name):
            explain(platform, "double", "s3://b/a", fixed_file=tmp_path / name)


def test_a_key_that_is_not_known_is_refused(platform):
    with pytest.raises(UnknownJobError, match="No job of `double` is stored under ffff"):
        explain(platform, "double", "f" * 64)
