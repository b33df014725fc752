"""Why a job is in the state that it is in: every state, by file and by key."""

import json

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from cli.explain.run import explain, judge
from domain.errors import JobFileError, UnknownJobError
from domain.failures import JobError
from domain.job.identity import result_id
from domain.job.state import JobState
from domain.result.records import to_record
from engine.assets.runs import job_name_of
from operations.queue import is_queued_in
from operations.requests import submit
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.ledger.claims import Finished
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
    return ledger.claims.claim(
        ledger.jobs.get("double", key),
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
        platform.connections.record_store.commit(to_record(made))
    platform.connections.ledger.claims.finish([Finished(claimed, "a", result)], code_version=version)


def fail(platform, key, **error):
    error = JobError(**({"kind": "exception", "message": "ValueError: no", "permanent": True} | error))
    version = platform.entry("double").code_version
    platform.connections.ledger.claims.fail(claim(platform, key), attempt="a", code_version=version, error=error)


def both(platform, key, path, **options):
    """Explain a job by its key and by its file: the answers agree."""
    by_key, by_file = (explain(platform, "double", target, **options) for target in (key, path))
    assert by_key == by_file
    return by_key.state, by_key.reason


def test_a_file_in_no_inbox_is_explained_before_it_is_requested(platform, path):
    found = explain(platform, "double", path)
    assert (found.state, found.analysis) == ("unknown", "double")
    assert "put its file into the inbox, or submit it" in found.reason
    assert found.inputs == {"locations": ["s3://bucket/asset"], "files": []}
    assert (found.parameters, found.origins) == ({"number": 2.0}, {"number": "distributed_parameters"})
    assert found.stripped == {"dry_run": "distributed_parameters"}
    assert found.code_version == platform.entry("double").code_version
    assert found.result_id == result_id("double", found.code_version, found.job_key)
    assert sum(platform.connections.ledger.jobs.counts("double").values()) == 0
    shown = found.as_dict()
    assert json.loads(json.dumps(shown)) == shown


def test_a_new_job(platform, key, path):
    assert both(platform, key, path) == (
        "new",
        "It waits for the sensor's next tick, a few seconds while `analysis dev` or the daemon runs.",
    )


def test_a_new_job_that_is_forced_says_why(platform, key, path):
    platform.connections.ledger.requests.requeue("double", [key], who="me", reason="drift", force=True)
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
    state, reason = both(platform, key, path)
    assert state == "running"
    assert reason.startswith("Run the-run works on it, attempt number 1; its lease holds until 20")


def test_a_done_job(platform, key, path):
    finish(platform, key)
    state, reason = both(platform, key, path)
    assert state == "done"
    assert "another request computes nothing" in reason


def test_a_job_of_another_ledger_whose_result_is_here(platform, key, path):
    finish(platform, key)
    platform.connections.ledger.mongo.collection("results_jobs").raw.delete_many({})
    found = explain(platform, "double", path)
    assert (found.state, "no job in this ledger requested it" in found.reason) == ("done", True)


def test_an_outdated_job(platform, key, path):
    finish(platform, key, version="0+earlier")
    state, reason = both(platform, key, path)
    assert state == "outdated"
    version = platform.entry("double").code_version
    said = "The declared version has changed from 0 to 1. The digest of its sources has changed."
    assert reason == f"Its result was made by code 0+earlier; the code is now {version}. {said}"


def test_a_done_job_whose_record_is_missing(platform, key, path):
    finish(platform, key, record=False)
    state, reason = both(platform, key, path)
    assert (state, "its record is missing; rerun it" in reason) == ("outdated", True)


def test_a_failed_job(platform, key, path):
    fail(platform, key)
    state, reason = both(platform, key, path)
    assert state == "failed"
    expected = "It failed after 1 attempt (permanent: change something, then rerun it): ValueError: no"
    assert reason == expected
    fail(platform, key, permanent=False)
    assert "transient: rerun it" in both(platform, key, path)[1]


def test_an_invalidated_job(platform, key, path):
    fail(platform, key, kind="invalidated", message="wrong channel map")
    assert both(platform, key, path) == (
        "invalidated",
        "Its result was declared wrong. wrong channel map. It is computed again when it is rerun.",
    )


def test_a_failed_job_without_a_reason(platform, key):
    job = platform.connections.ledger.jobs.get("double", key).model_copy(update={"state": JobState.FAILED})
    assert judge(job, "1", has_record=False, queued=False)[1].endswith("no reason was kept")


def test_a_running_job_without_a_lease(platform, key):
    job = platform.connections.ledger.jobs.get("double", key).model_copy(update={"state": JobState.RUNNING})
    assert "Running without a lease" in judge(job, "1", has_record=False, queued=False)[1]


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


# -- what happened, and why it is new ------------------------------------------------------------------------------


def give_record(platform, job_key, **facts):
    result = result_id("double", facts["code_version"], job_key)
    made = sparse(analysis="double", job_key=job_key, result_id=result, **facts)
    platform.connections.record_store.commit(to_record(made))


def test_without_earlier_results_it_is_the_first(platform, path):
    assert explain(platform, "double", path).history.why == "It would be the first result of this analysis."


def test_a_new_parameter_is_named_with_its_old_value(platform, path):
    version = platform.entry("double").code_version
    facts = {"locations": ("s3://bucket/asset",), "parameters": {"number": 1.0}, "code_version": version}
    give_record(platform, "1" * 64, **facts)
    found = explain(platform, "double", path).history
    assert "differs in parameter `number`: 1 -> 2." in found.why
    assert [(d["part"], d["name"], d["old"], d["new"]) for d in found.nearest["differences"]] == [
        ("parameter", "number", 1.0, 2.0)
    ]


def test_new_code_is_named_with_the_old_one(platform, path, key):
    facts = {"locations": ("s3://bucket/asset",), "parameters": {"number": 2.0}, "code_version": "0+earlier"}
    give_record(platform, key, **facts)
    version = platform.entry("double").code_version
    assert f"differs in code: 0+earlier -> {version}." in explain(platform, "double", path).history.why


def test_an_invalidated_result_counts_as_an_earlier_one(platform, path, key):
    version = platform.entry("double").code_version
    facts = {"locations": ("s3://bucket/asset",), "parameters": {"number": 2.0}, "code_version": version}
    give_record(platform, key, **facts)
    records = platform.connections.record_store
    records.invalidate(records.get(result_id("double", version, key)), who="me", reason="x")
    why = explain(platform, "double", path).history.why
    assert ", since invalidated" in why
    assert "the same inputs, parameters and code gave result" in why


def test_a_result_that_is_there_says_how_it_came_about(platform, path, key):
    version = platform.entry("double").code_version
    facts = {"run_id": "run-7", "why": "First result.", "reason": "new map", "code_version": version}
    give_record(platform, key, locations=("s3://bucket/asset",), parameters={"number": 2.0}, **facts)
    found = explain(platform, "double", path).history
    assert found.why == "Made by run run-7, which ended it at 2025-03-01 09:30:12. First result. Forced: new map."
    assert found.nearest is None


def test_every_attempt_and_every_request_is_listed(platform, path, key):
    fail(platform, key, message="ValueError: first")
    platform.connections.ledger.requests.requeue("double", [key], who="me")
    claim(platform, key)
    found = explain(platform, "double", key).history
    assert [(a["outcome"], (a["error"] or {}).get("message")) for a in found.attempts] == [
        ("failed", "ValueError: first"),
        (None, None),
    ]
    assert [name.startswith(f"file://{path} submitted by ") for name in found.asked_by] == [True]


def test_older_jobs_that_wait_too_are_counted(platform, path, key):
    (later,) = submit(platform, "double", ["s3://bucket/later"], by_hand={"number": 1})
    assert explain(platform, "double", key).history.notes == []
    assert explain(platform, "double", later.job_key).history.notes == ["1 older jobs of this analysis wait too."]


@pytest.mark.parametrize(
    ("now", "note"),
    [
        (b'{"number": 7}', []),
        (b'{"number": 8}', ["`number` was fixed when the job was ingested"]),
        (b"{", ["The inbox's fixed parameters cannot be read now"]),
    ],
)
def test_a_later_change_of_the_fixed_parameters_is_for_later_files_only(platform, now, note):
    inbox = platform.connections.job_inbox
    inbox.write("double", "analysis_parameters.json", b'{"number": 7}')
    (job,) = submit(platform, "double", ["s3://bucket/x"], by_hand={})
    inbox.write("double", "analysis_parameters.json", now)
    notes = explain(platform, "double", job.job_key).history.notes
    assert [one.startswith(start) for one, start in zip(notes, note, strict=True)] == [True] * len(note)
