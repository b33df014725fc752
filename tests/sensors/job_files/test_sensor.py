"""Ticks of the sensor, over real stores and a real Dagster: no job is lost or requested twice."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from domain.failures import JobError
from domain.job.identity import keys_digest
from domain.job.state import JobState
from domain.job.stored import Source
from domain.retry import UNFINISHED_RUNS, UNSTARTED_RUNS
from engine.assets.factory import KEYS_TAG
from engine.assets.materialization import asset_key_of, inbox_key_of
from resources.ledger.claims import Finished
from sensors.job_files.rejected import CHECK_NAME, build_inbox_check
from sensors.job_files.repair import reuse_existing
from sensors.job_files.sensor import build_sensor, preview
from sensors.limits import TickLimits
from tests.raw import records_of
from tests.sensors.harness import END, START, job_file

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def write_jobs(harness, count, *, start=0):
    for number in range(start, start + count):
        harness.write(f"{number:04}.json", job_file(number))


def key_of(harness, number):
    return next(key for key, job in harness.jobs().items() if job["parameters"]["number"] == number)


def claim(harness, key, *, run_id="a-run", expired=False):
    """Let a worker claim a job; an expired lease is one whose worker vanished a while ago."""
    ledger = harness.stores.ledger
    entry = ledger.jobs.get(harness.name, key)
    version = harness.entry.code_version
    claimed = ledger.claims.claim(
        entry, attempt=f"attempt-{key[:8]}", owner="worker", run_id=run_id, code_version=version, states=list(JobState)
    )
    if expired:
        harness.change(key, **{"lease.until": ledger.mongo.now() - timedelta(seconds=1)})
    return claimed


def finish(harness, key, *, version=None):
    """Finish a job that was requested and computed by some code."""
    claimed = claim(harness, key)
    version = version or harness.entry.code_version
    harness.stores.ledger.requests.request_code(harness.name, [key], code_version=version)
    harness.stores.ledger.claims.finish([Finished(claimed, claimed.lease.attempt, "r")], code_version=version)


def fail(harness, key):
    claimed = claim(harness, key)
    error = JobError(kind="exception", message="no", permanent=True)
    version = harness.entry.code_version
    harness.stores.ledger.claims.fail(claimed, attempt=claimed.lease.attempt, code_version=version, error=error)


# -- asking for runs -----------------------------------------------------------------------------------------------


def test_new_files_become_jobs_partitions_and_one_run_over_their_range(make_harness, inbox, database):
    harness = make_harness(inbox, database)
    write_jobs(harness, 3)
    found = harness.tick()
    (request,) = found.run_requests
    keys = harness.partitions()
    assert set(keys) == set(harness.jobs(JobState.NEW))
    assert len(keys) == 3
    assert request.tags == {START: keys[0], END: keys[-1], KEYS_TAG: keys_digest(keys)}
    assert request.run_key
    assert (found.dynamic_partitions_requests or []) == []


def test_a_run_is_requested_with_tags_by_which_its_jobs_are_found(harness):
    for number, subject in enumerate(("700001", "700002")):
        asset = f"s3://bucket/ecephys_{subject}_2024-05-01_10-00-00"
        harness.write(f"{number}.json", job_file(number, asset=asset))
    (request,) = harness.tick().run_requests
    assert {
        "dagster/subject.700001",
        "dagster/subject.700002",
        "dagster/session.ecephys_700001_2024-05-01_10-00-00",
    } <= set(request.tags)


def test_an_empty_inbox_asks_for_nothing(harness):
    assert harness.tick().skip_message == "No new jobs. 0 files read, 0 rejected."
    assert harness.instance.get_runs() == []


@pytest.mark.parametrize("status", UNFINISHED)
def test_jobs_in_a_run_that_has_not_ended_are_not_requested_again(harness, status):
    write_jobs(harness, 3)
    harness.launch(harness.tick(), status)
    assert isinstance(harness.tick(), dg.SkipReason)
    write_jobs(harness, 2, start=3)
    found = harness.tick()
    assert len(harness.requested(found)) == 2
    harness.launch(found, status)
    assert isinstance(harness.tick(), dg.SkipReason)


@pytest.mark.parametrize("status", ENDED)
def test_jobs_whose_run_ended_without_them_are_requested_by_another_run(harness, status):
    write_jobs(harness, 3)
    runs = harness.launch(harness.tick())
    done = harness.partitions()[1]
    finish(harness, done)
    harness.end(runs, status)
    found = harness.tick()
    assert set(harness.requested(found)) == set(harness.partitions())  # the range passes over the finished one
    harness.launch(found)  # refuses a run key that was used before
    assert isinstance(harness.tick(), dg.SkipReason)


def test_no_run_is_requested_for_jobs_that_an_operator_launched(harness):
    write_jobs(harness, 3)
    harness.tick()
    keys = harness.partitions()
    from dagster._core.test_utils import create_run_for_test  # noqa: PLC0415

    create_run_for_test(
        harness.instance,
        job_name="__ASSET_JOB",
        asset_selection=frozenset([asset_key_of("double")]),
        tags={"dagster/partition": keys[0]},
        status=dg.DagsterRunStatus.STARTED,
    )
    create_run_for_test(
        harness.instance,
        job_name="__ASSET_JOB",
        asset_selection=frozenset([asset_key_of("another")]),
        tags={START: keys[1], END: keys[2]},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert harness.requested(harness.tick()) == keys[1:]


def test_a_run_without_partitions_covers_nothing(harness):
    write_jobs(harness, 1)
    found = harness.tick()
    for request in found.run_requests:
        request.tags.clear()
    harness.launch(found)
    assert len(harness.requested(harness.tick())) == 1


def test_a_job_that_runs_after_run_leaves_unfinished_is_failed_in_the_end(harness):
    write_jobs(harness, 1)
    for _ in range(UNFINISHED_RUNS.attempts):
        found = harness.tick()
        assert len(harness.requested(found)) == 1
        harness.end(harness.launch(found))
    assert isinstance(harness.tick(), dg.SkipReason)
    (job,) = harness.jobs(JobState.FAILED).values()
    assert (job["error"]["kind"], job["error"]["permanent"]) == ("lost", False)
    assert f"{UNFINISHED_RUNS.attempts} runs in a row" in job["error"]["message"]
    harness.stores.ledger.requests.requeue("double", [job["job_key"]], who="me")
    harness.launch(harness.tick())
    assert len(harness.run_keys) == UNFINISHED_RUNS.attempts + 1


def test_a_crash_looping_job_holds_up_no_other(harness):
    write_jobs(harness, 2)
    for _ in range(UNFINISHED_RUNS.attempts):
        harness.end(harness.launch(harness.tick()))
    write_jobs(harness, 1, start=2)
    assert harness.requested(harness.tick()) == [key_of(harness, 2)]


def test_a_job_whose_runs_never_start_is_not_given_up_but_requested_at_growing_intervals(harness):
    write_jobs(harness, 1)
    for number in range(2 * UNFINISHED_RUNS.attempts):
        found = harness.tick()
        key = key_of(harness, 0)
        assert harness.requested(found) == [key], number
        harness.end(harness.launch(found, status=dg.DagsterRunStatus.STARTING))
        if number > 1:
            assert harness.requested(harness.tick()) == [], "the next request waits"
        harness.change(key, requested_at=harness.stores.ledger.now() - timedelta(seconds=UNSTARTED_RUNS.longest_s))
    assert harness.jobs()[key]["state"] == "new"
    harness.launch(harness.tick())
    assert (harness.jobs()[key]["fruitless"], harness.jobs()[key]["unstarted"]) == (1, 0)


def test_an_operator_need_not_wait_for_the_next_request_of_a_run(harness):
    write_jobs(harness, 1)
    for _ in range(3):
        harness.end(harness.launch(harness.tick(), status=dg.DagsterRunStatus.STARTING))
    assert harness.requested(harness.tick()) == []
    harness.stores.ledger.requests.requeue("double", [key_of(harness, 0)], who="me")
    assert harness.requested(harness.tick()) == [key_of(harness, 0)]


def test_ranges_pass_over_results_of_the_current_code_and_over_nothing_else(harness):
    write_jobs(harness, 9)
    harness.launch(harness.tick())
    keys = harness.partitions()
    for run in harness.instance.get_runs():
        harness.end([run])
    fail(harness, keys[1])
    finish(harness, keys[3])
    finish(harness, keys[4], version="0+earlier")
    claim(harness, keys[6], run_id="elsewhere")
    finish(harness, keys[8])
    found = harness.tick()
    ranges = [(keys.index(r.tags[START]), keys.index(r.tags[END])) for r in found.run_requests]
    assert ranges == [(0, 0), (2, 2), (5, 5), (7, 7)]
    assert len({r.run_key for r in found.run_requests}) == 4
    harness.end(harness.launch(found))
    finish(harness, keys[2])
    finish(harness, keys[6])
    found = harness.tick()
    ranges = [(keys.index(r.tags[START]), keys.index(r.tags[END])) for r in found.run_requests]
    assert ranges == [(0, 0), (5, 7)]
    assert [r.tags[KEYS_TAG] for r in found.run_requests] == [keys_digest(keys[:1]), keys_digest(keys[5:8])]


def test_ranges_are_no_longer_than_the_analysis_wants(harness):
    size = harness.entry.analysis.batch_size
    write_jobs(harness, size + 3)
    found = harness.tick()
    spans = [len(harness.requested(dg.SensorResult(run_requests=[request]))) for request in found.run_requests]
    assert spans == [size, 3]
    asked = harness.requested(found)
    assert sorted(asked) == sorted(harness.jobs())


def test_a_tick_asks_for_a_limited_number_of_jobs_oldest_first(harness):
    harness.limits = TickLimits(jobs=2)
    for number in range(3):
        write_jobs(harness, 1, start=number)
        harness.tick()
    for number in range(3):
        harness.renew(key_of(harness, number))
    first = harness.tick()
    assert set(harness.requested(first)) == {key_of(harness, 0), key_of(harness, 1)}
    harness.launch(first)
    assert isinstance(harness.tick(), dg.SkipReason)
    for key in harness.requested(first):
        finish(harness, key)
    assert harness.requested(harness.tick()) == [key_of(harness, 2)]


def test_asking_for_an_outdated_job_again_asks_for_a_run(harness):
    write_jobs(harness, 1)
    harness.end(harness.launch(harness.tick()))
    finish(harness, harness.partitions()[0], version="0+earlier")
    assert isinstance(harness.tick(), dg.SkipReason)
    harness.write("again.json", job_file(0))
    assert harness.requested(harness.tick()) == harness.partitions()


@pytest.mark.parametrize("ends", ["done", "failed", "released"])
def test_a_request_for_new_code_while_old_code_runs_is_kept(harness, ends):
    write_jobs(harness, 1)
    harness.end(harness.launch(harness.tick()))
    (key,) = harness.partitions()
    claimed = claim(harness, key)
    claims, (attempt, old) = harness.stores.ledger.claims, (claimed.lease.attempt, "0+earlier")
    harness.write("again.json", job_file(0))
    assert isinstance(harness.tick(), dg.SkipReason), "the job is still running"
    if ends == "done":
        claims.finish([Finished(claimed, attempt, "r")], code_version=old)
    elif ends == "failed":
        error = JobError(kind="exception", message="no", permanent=True)
        claims.fail(claimed, attempt=attempt, code_version=old, error=error)
    else:
        claims.release(claimed, attempt=attempt)
    assert harness.requested(harness.tick()) == [key]
    finish(harness, key)
    assert isinstance(harness.tick(), dg.SkipReason)
    assert harness.jobs()[key]["requested_code"] is None


def test_a_request_that_was_answered_is_not_repeated_when_the_code_changes(harness):
    write_jobs(harness, 2)
    harness.end(harness.launch(harness.tick()))
    one, other = harness.partitions()
    finish(harness, one)
    fail(harness, other)
    for key in (one, other):
        harness.change(key, code_version="0+earlier")
    assert isinstance(harness.tick(), dg.SkipReason)


def test_asking_for_a_finished_job_again_asks_for_nothing(harness):
    write_jobs(harness, 1)
    harness.end(harness.launch(harness.tick()))
    finish(harness, harness.partitions()[0])
    harness.write("again.json", job_file(0))
    assert isinstance(harness.tick(), dg.SkipReason)
    (job,) = harness.jobs().values()
    assert (len(job["sources"]), job["state"]) == (2, "done")


# -- repair --------------------------------------------------------------------------------------------------------


def test_a_running_job_whose_lease_expired_is_requested_again(harness):
    write_jobs(harness, 2)
    harness.end(harness.launch(harness.tick()))
    one, other = harness.partitions()
    claim(harness, one, run_id="unknown-to-this-dagster", expired=True)
    claim(harness, other, run_id="unknown-to-this-dagster")
    assert harness.requested(harness.tick()) == [one]
    assert list(harness.jobs(JobState.RUNNING)) == [other]


def test_a_running_job_whose_run_has_ended_is_requested_again_at_once(harness):
    write_jobs(harness, 2)
    (run,) = harness.launch(harness.tick())
    one, other = harness.partitions()
    claim(harness, one, run_id=run.run_id)
    finish(harness, other)
    assert isinstance(harness.tick(), dg.SkipReason)
    harness.end([run])
    assert harness.requested(harness.tick()) == [one]
    assert harness.jobs(JobState.RUNNING) == {}


def test_a_new_job_whose_result_exists_is_done_without_a_run(harness):
    harness.instance.wipe()
    write_jobs(harness, 2)
    harness.tick()
    harness.instance.wipe()
    has, lacks = key_of(harness, 0), key_of(harness, 1)
    result = harness.add_record(has)["_id"]
    found = harness.tick()
    assert harness.requested(found) == [lacks]
    job = harness.jobs(JobState.DONE)[has]
    assert (job["result_id"], job["code_version"]) == (result, harness.entry.code_version)
    event = harness.instance.get_latest_materialization_event(asset_key_of("double")).asset_materialization
    assert event.partition == has
    assert event.metadata["computed or reused"].value == "reused"
    assert event.tags["dagster/code_version"] == harness.entry.code_version
    assert isinstance(harness.tick(), dg.SensorResult)  # only the other one is new


def test_a_running_job_whose_worker_died_after_the_record_is_done_without_a_run(harness):
    write_jobs(harness, 1)
    (run,) = harness.launch(harness.tick())
    (key,) = harness.partitions()
    claim(harness, key, run_id=run.run_id)
    harness.add_record(key)
    harness.end([run])
    assert isinstance(harness.tick(), dg.SkipReason)
    assert list(harness.jobs(JobState.DONE)) == [key]
    assert harness.instance.get_materialized_partitions(asset_key_of("double")) == {key}


def test_a_job_that_is_to_be_computed_again_is_not_adopted(harness):
    write_jobs(harness, 1)
    harness.end(harness.launch(harness.tick()))
    (key,) = harness.partitions()
    harness.add_record(key)
    harness.tick()
    harness.stores.ledger.requests.requeue("double", [key], who="me", reason="drift", force=True)
    assert harness.requested(harness.tick()) == [key]
    assert reuse_existing(harness.instance, harness.entry, harness.stores) == 0


def test_a_result_that_cannot_be_reused_is_left_to_a_run_and_holds_up_no_other(harness):
    write_jobs(harness, 5)
    harness.tick()
    fine, spoiled, moved, damaged, lacks = (key_of(harness, number) for number in range(5))
    harness.add_record(fine)
    location = harness.add_record(spoiled)["location"]
    harness.stores.results.put_bytes(location, "double.txt", b"3")
    gone = f"s3://a-bucket-that-is-gone/{'b' * 64}/7d0c3f5e-5d1a-4b7e-9a68-0d7f0a2a8c11"
    for key, change in ((moved, {"$set": {"location": gone}}), (damaged, {"$unset": {"processing": 1}})):
        records_of(harness.stores.records).update_one({"_id": harness.add_record(key)["_id"]}, change)
    assert set(harness.requested(harness.tick())) == {spoiled, moved, damaged, lacks}
    assert list(harness.jobs(JobState.DONE)) == [fine]
    assert harness.instance.get_materialized_partitions(asset_key_of("double")) == {fine}


def test_a_tick_adopts_a_limited_number(harness):
    limits = TickLimits(reused=2)
    write_jobs(harness, 5)
    harness.tick()
    for key in harness.jobs():
        harness.add_record(key)
    assert [reuse_existing(harness.instance, harness.entry, harness.stores, limits=limits) for _ in range(4)] == [
        2,
        2,
        1,
        0,
    ]
    assert len(harness.jobs(JobState.DONE)) == 5


def test_jobs_of_another_analysis_are_left_alone(harness, make_harness, folder_inbox, database):
    other = make_harness(folder_inbox, database, analysis="misbehave")
    other.write("a.json", b'{"s3_location": ["s3://b/a"]}')
    other.tick()
    (key,) = other.jobs()
    claim(other, key, expired=True)
    write_jobs(harness, 1)
    assert len(harness.requested(harness.tick())) == 1
    assert other.jobs()[key]["state"] == "running"
    assert key not in harness.partitions()


# -- rejected -----------------------------------------------------------------------------------------------------


def table(metadata):
    return [record.data for record in metadata["rejected files"].records]


def test_rejected_files_are_reported_when_their_list_changes_and_until_they_are_fixed(harness):
    harness.write("a.json", b"{")
    observation, check = harness.tick().asset_events
    reason = harness.rejected()["a.json"]
    assert observation.asset_key == check.asset_key == inbox_key_of("double")
    assert (check.check_name, check.passed) == (CHECK_NAME, False)
    assert observation.metadata["count"].value == 1
    assert table(observation.metadata) == table(check.metadata) == [{"file": "a.json", "reason": reason}]
    assert harness.tick().skip_message == "No new jobs. 0 files read, 1 rejected."
    harness.write("b.json", b"[")
    observation, _ = harness.tick().asset_events
    assert [row["file"] for row in table(observation.metadata)] == ["a.json", "b.json"]
    harness.write("a.json", job_file(1))
    Path(harness.stores.inbox.root, "double", "b.json").unlink()
    found = harness.tick()
    assert found.asset_events[1].passed
    assert table(found.asset_events[0].metadata) == []
    harness.launch(found)
    assert isinstance(harness.tick(), dg.SkipReason)


def test_a_report_that_was_lost_is_made_again(harness):
    harness.write("a.json", b"{")
    harness.tick()
    harness.cursor = None
    assert len(harness.tick().asset_events) == 2


def test_a_limited_number_of_rejected_files_is_shown_but_all_are_counted(harness):
    harness.limits = TickLimits(shown_files=2)
    for number in range(3):
        harness.write(f"{number}.json", b"{")
    observation, _ = harness.tick().asset_events
    assert (len(table(observation.metadata)), observation.metadata["count"].value) == (2, 3)


def test_the_check_fails_while_a_file_is_refused(harness):
    check = build_inbox_check(harness.entry)
    assert check(inbox_notes=harness.stores.notes).passed
    harness.write("a.json", b"{")
    harness.tick()
    found = check(inbox_notes=harness.stores.notes)
    assert not found.passed
    assert [row["file"] for row in table(found.metadata)] == ["a.json"]


# -- the sensor itself ---------------------------------------------------------------------------------------------


def evaluate(harness, *, dry_run=False):
    @dg.asset(key=asset_key_of("double"), partitions_def=dg.DynamicPartitionsDefinition(name="double"))
    def double(): ...

    sensor = build_sensor(harness.entry, dry_run=dry_run)
    stores = harness.stores
    context = dg.build_sensor_context(
        instance=harness.instance,
        cursor=harness.cursor,
        definitions=dg.Definitions(assets=[double], sensors=[sensor]),
        resources={
            "job_inbox": stores.inbox,
            "inbox_notes": stores.notes,
            "ledger": stores.ledger,
            "record_store": stores.records,
            "results_store": stores.results,
        },
    )
    with context:
        return sensor.evaluate_tick(context)


def test_dagster_evaluates_the_sensor(harness):
    write_jobs(harness, 2)
    harness.write("bad.json", b"{")
    found = evaluate(harness)
    (request,) = found.run_requests
    keys = harness.partitions()
    assert {START: keys[0], END: keys[1], KEYS_TAG: keys_digest(keys)}.items() <= request.tags.items()
    assert len(found.asset_events) == 2
    assert found.cursor
    assert found.skip_message is None


def test_with_dry_run_the_sensor_only_reports(harness):
    write_jobs(harness, 2)
    harness.write("bad.json", b"{")
    found = evaluate(harness, dry_run=True)
    assert found.run_requests == []
    assert found.skip_message.startswith("DRY_RUN is set: nothing was done. 3 files to ingest, 2 new jobs.")
    assert "rejected file bad.json: Job file bad.json is not JSON" in found.skip_message
    assert (harness.jobs(), harness.rejected(), harness.partitions()) == ({}, {}, [])
    assert found.skip_message == preview(harness.entry, harness.stores)


def test_a_preview_counts_only_jobs_that_are_unknown(harness):
    write_jobs(harness, 1)
    harness.tick()
    harness.write("again.json", job_file(0))
    harness.write("new.json", job_file(1))
    assert preview(harness.entry, harness.stores).startswith(
        "DRY_RUN is set: nothing was done. 2 files to ingest, 1 new job.\nnew job "
    )


def test_run_keys_of_different_requests_differ(harness):
    ledger = harness.stores.ledger
    write_jobs(harness, 3)
    seen = []
    for _ in range(3):
        found = harness.tick()
        seen += [request.run_key for request in found.run_requests]
        ledger.requests.requeue("double", harness.jobs(), who="me")
    assert len(set(seen)) == 3
    assert all(one != other for one, other in pairwise(seen))


def test_a_job_from_the_command_line_is_requested_like_one_from_a_file(harness):
    write_jobs(harness, 1)
    harness.tick()
    entry = harness.stores.ledger.jobs.get("double", harness.partitions()[0])
    stored = entry.stored_job.model_copy(update={"job_key": "f" * 64})
    harness.stores.ledger.requests.store([(stored, Source(name="me"))], code_version=harness.entry.code_version)
    assert "f" * 64 in harness.requested(harness.tick())
