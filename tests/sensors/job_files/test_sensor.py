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
from tests.sensors.world import END, START, job_file

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def write_jobs(world, count, *, start=0):
    for number in range(start, start + count):
        world.write(f"{number:04}.json", job_file(number))


def key_of(world, number):
    return next(key for key, job in world.jobs().items() if job["parameters"]["number"] == number)


def claim(world, key, *, run_id="a-run", expired=False):
    """Let a worker claim a job; an expired lease is one whose worker vanished a while ago."""
    ledger = world.stores.ledger
    entry = ledger.jobs.get(world.name, key)
    version = world.entry.code_version
    claimed = ledger.claims.claim(
        entry, attempt=f"attempt-{key[:8]}", owner="worker", run_id=run_id, code_version=version, states=list(JobState)
    )
    if expired:
        world.change(key, **{"lease.until": ledger.mongo.now() - timedelta(seconds=1)})
    return claimed


def finish(world, key, *, version=None):
    """Finish a job that was requested and computed by some code."""
    claimed = claim(world, key)
    version = version or world.entry.code_version
    world.stores.ledger.requests.request_code(world.name, [key], code_version=version)
    world.stores.ledger.claims.finish([Finished(claimed, claimed.lease.attempt, "r")], code_version=version)


def fail(world, key):
    claimed = claim(world, key)
    error = JobError(kind="exception", message="no", permanent=True)
    version = world.entry.code_version
    world.stores.ledger.claims.fail(claimed, attempt=claimed.lease.attempt, code_version=version, error=error)


# -- asking for runs -----------------------------------------------------------------------------------------------


def test_new_files_become_jobs_partitions_and_one_run_over_their_range(make_world, inbox, database):
    world = make_world(inbox, database)
    write_jobs(world, 3)
    found = world.tick()
    (request,) = found.run_requests
    keys = world.partitions()
    assert set(keys) == set(world.jobs(JobState.NEW))
    assert len(keys) == 3
    assert request.tags == {START: keys[0], END: keys[-1], KEYS_TAG: keys_digest(keys)}
    assert request.run_key
    assert (found.dynamic_partitions_requests or []) == []


def test_a_run_is_asked_for_with_tags_by_which_its_jobs_are_found(world):
    for number, subject in enumerate(("700001", "700002")):
        asset = f"s3://bucket/ecephys_{subject}_2024-05-01_10-00-00"
        world.write(f"{number}.json", job_file(number, asset=asset))
    (request,) = world.tick().run_requests
    assert {
        "dagster/subject.700001",
        "dagster/subject.700002",
        "dagster/session.ecephys_700001_2024-05-01_10-00-00",
    } <= set(request.tags)


def test_an_empty_inbox_asks_for_nothing(world):
    assert world.tick().skip_message == "No new jobs. 0 files read, 0 rejected."
    assert world.instance.get_runs() == []


@pytest.mark.parametrize("status", UNFINISHED)
def test_jobs_in_a_run_that_has_not_ended_are_not_asked_for_again(world, status):
    write_jobs(world, 3)
    world.launch(world.tick(), status)
    assert isinstance(world.tick(), dg.SkipReason)
    write_jobs(world, 2, start=3)
    found = world.tick()
    assert len(world.asked(found)) == 2
    world.launch(found, status)
    assert isinstance(world.tick(), dg.SkipReason)


@pytest.mark.parametrize("status", ENDED)
def test_jobs_whose_run_ended_without_them_are_asked_for_by_another_run(world, status):
    write_jobs(world, 3)
    runs = world.launch(world.tick())
    done = world.partitions()[1]
    finish(world, done)
    world.end(runs, status)
    found = world.tick()
    assert set(world.asked(found)) == set(world.partitions())  # the range passes over the finished one
    world.launch(found)  # refuses a run key that was used before
    assert isinstance(world.tick(), dg.SkipReason)


def test_nobody_is_asked_for_jobs_that_a_person_launched(world):
    write_jobs(world, 3)
    world.tick()
    keys = world.partitions()
    from dagster._core.test_utils import create_run_for_test  # noqa: PLC0415

    create_run_for_test(
        world.instance,
        job_name="__ASSET_JOB",
        asset_selection=frozenset([asset_key_of("double")]),
        tags={"dagster/partition": keys[0]},
        status=dg.DagsterRunStatus.STARTED,
    )
    create_run_for_test(
        world.instance,
        job_name="__ASSET_JOB",
        asset_selection=frozenset([asset_key_of("another")]),
        tags={START: keys[1], END: keys[2]},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert world.asked(world.tick()) == keys[1:]


def test_a_run_without_partitions_covers_nothing(world):
    write_jobs(world, 1)
    found = world.tick()
    for request in found.run_requests:
        request.tags.clear()
    world.launch(found)
    assert len(world.asked(world.tick())) == 1


def test_a_job_that_runs_after_run_leaves_unfinished_is_failed_in_the_end(world):
    write_jobs(world, 1)
    for _ in range(UNFINISHED_RUNS.attempts):
        found = world.tick()
        assert len(world.asked(found)) == 1
        world.end(world.launch(found))
    assert isinstance(world.tick(), dg.SkipReason)
    (job,) = world.jobs(JobState.FAILED).values()
    assert (job["error"]["kind"], job["error"]["permanent"]) == ("lost", False)
    assert f"{UNFINISHED_RUNS.attempts} runs in a row" in job["error"]["message"]
    world.stores.ledger.requests.requeue("double", [job["job_key"]], who="me")
    world.launch(world.tick())
    assert len(world.run_keys) == UNFINISHED_RUNS.attempts + 1


def test_a_hopeless_job_holds_up_nobody_else(world):
    write_jobs(world, 2)
    for _ in range(UNFINISHED_RUNS.attempts):
        world.end(world.launch(world.tick()))
    write_jobs(world, 1, start=2)
    assert world.asked(world.tick()) == [key_of(world, 2)]


def test_a_job_whose_runs_never_start_is_not_given_up_but_requested_at_growing_intervals(world):
    write_jobs(world, 1)
    for number in range(2 * UNFINISHED_RUNS.attempts):
        found = world.tick()
        key = key_of(world, 0)
        assert world.asked(found) == [key], number
        world.end(world.launch(found, status=dg.DagsterRunStatus.STARTING))
        if number > 1:
            assert world.asked(world.tick()) == [], "the next request waits"
        world.change(key, requested_at=world.stores.ledger.now() - timedelta(seconds=UNSTARTED_RUNS.longest_s))
    assert world.jobs()[key]["state"] == "new"
    world.launch(world.tick())
    assert (world.jobs()[key]["fruitless"], world.jobs()[key]["unstarted"]) == (1, 0)


def test_an_operator_need_not_wait_for_the_next_request_of_a_run(world):
    write_jobs(world, 1)
    for _ in range(3):
        world.end(world.launch(world.tick(), status=dg.DagsterRunStatus.STARTING))
    assert world.asked(world.tick()) == []
    world.stores.ledger.requests.requeue("double", [key_of(world, 0)], who="me")
    assert world.asked(world.tick()) == [key_of(world, 0)]


def test_ranges_pass_over_results_of_the_current_code_and_over_nothing_else(world):
    write_jobs(world, 9)
    world.launch(world.tick())
    keys = world.partitions()
    for run in world.instance.get_runs():
        world.end([run])
    fail(world, keys[1])
    finish(world, keys[3])
    finish(world, keys[4], version="0+earlier")
    claim(world, keys[6], run_id="elsewhere")
    finish(world, keys[8])
    found = world.tick()
    ranges = [(keys.index(r.tags[START]), keys.index(r.tags[END])) for r in found.run_requests]
    assert ranges == [(0, 0), (2, 2), (5, 5), (7, 7)]
    assert len({r.run_key for r in found.run_requests}) == 4
    world.end(world.launch(found))
    finish(world, keys[2])
    finish(world, keys[6])
    found = world.tick()
    ranges = [(keys.index(r.tags[START]), keys.index(r.tags[END])) for r in found.run_requests]
    assert ranges == [(0, 0), (5, 7)]
    assert [r.tags[KEYS_TAG] for r in found.run_requests] == [keys_digest(keys[:1]), keys_digest(keys[5:8])]


def test_ranges_are_no_longer_than_the_analysis_wants(world):
    size = world.entry.analysis.batch_size
    write_jobs(world, size + 3)
    found = world.tick()
    spans = [len(world.asked(dg.SensorResult(run_requests=[request]))) for request in found.run_requests]
    assert spans == [size, 3]
    asked = world.asked(found)
    assert sorted(asked) == sorted(world.jobs())


def test_a_tick_asks_for_a_limited_number_of_jobs_oldest_first(world):
    world.limits = TickLimits(jobs=2)
    for number in range(3):
        write_jobs(world, 1, start=number)
        world.tick()
    for number in range(3):
        world.renew(key_of(world, number))
    first = world.tick()
    assert set(world.asked(first)) == {key_of(world, 0), key_of(world, 1)}
    world.launch(first)
    assert isinstance(world.tick(), dg.SkipReason)
    for key in world.asked(first):
        finish(world, key)
    assert world.asked(world.tick()) == [key_of(world, 2)]


def test_asking_for_an_outdated_job_again_asks_for_a_run(world):
    write_jobs(world, 1)
    world.end(world.launch(world.tick()))
    finish(world, world.partitions()[0], version="0+earlier")
    assert isinstance(world.tick(), dg.SkipReason)
    world.write("again.json", job_file(0))
    assert world.asked(world.tick()) == world.partitions()


@pytest.mark.parametrize("ends", ["done", "failed", "released"])
def test_a_request_for_new_code_while_old_code_runs_is_kept(world, ends):
    write_jobs(world, 1)
    world.end(world.launch(world.tick()))
    (key,) = world.partitions()
    claimed = claim(world, key)
    claims, (attempt, old) = world.stores.ledger.claims, (claimed.lease.attempt, "0+earlier")
    world.write("again.json", job_file(0))
    assert isinstance(world.tick(), dg.SkipReason), "the job is still running"
    if ends == "done":
        claims.finish([Finished(claimed, attempt, "r")], code_version=old)
    elif ends == "failed":
        error = JobError(kind="exception", message="no", permanent=True)
        claims.fail(claimed, attempt=attempt, code_version=old, error=error)
    else:
        claims.release(claimed, attempt=attempt)
    assert world.asked(world.tick()) == [key]
    finish(world, key)
    assert isinstance(world.tick(), dg.SkipReason)
    assert world.jobs()[key]["requested_code"] is None


def test_a_request_that_was_answered_is_not_repeated_when_the_code_changes(world):
    write_jobs(world, 2)
    world.end(world.launch(world.tick()))
    one, other = world.partitions()
    finish(world, one)
    fail(world, other)
    for key in (one, other):
        world.change(key, code_version="0+earlier")
    assert isinstance(world.tick(), dg.SkipReason)


def test_asking_for_a_finished_job_again_asks_for_nothing(world):
    write_jobs(world, 1)
    world.end(world.launch(world.tick()))
    finish(world, world.partitions()[0])
    world.write("again.json", job_file(0))
    assert isinstance(world.tick(), dg.SkipReason)
    (job,) = world.jobs().values()
    assert (len(job["sources"]), job["state"]) == (2, "done")


# -- repair --------------------------------------------------------------------------------------------------------


def test_a_running_job_whose_lease_expired_is_asked_for_again(world):
    write_jobs(world, 2)
    world.end(world.launch(world.tick()))
    one, other = world.partitions()
    claim(world, one, run_id="unknown-to-this-dagster", expired=True)
    claim(world, other, run_id="unknown-to-this-dagster")
    assert world.asked(world.tick()) == [one]
    assert list(world.jobs(JobState.RUNNING)) == [other]


def test_a_running_job_whose_run_has_ended_is_asked_for_again_at_once(world):
    write_jobs(world, 2)
    (run,) = world.launch(world.tick())
    one, other = world.partitions()
    claim(world, one, run_id=run.run_id)
    finish(world, other)
    assert isinstance(world.tick(), dg.SkipReason)
    world.end([run])
    assert world.asked(world.tick()) == [one]
    assert world.jobs(JobState.RUNNING) == {}


def test_a_new_job_whose_result_exists_is_done_without_a_run(world):
    world.instance.wipe()
    write_jobs(world, 2)
    world.tick()
    world.instance.wipe()
    has, lacks = key_of(world, 0), key_of(world, 1)
    result = world.add_record(has)["_id"]
    found = world.tick()
    assert world.asked(found) == [lacks]
    job = world.jobs(JobState.DONE)[has]
    assert (job["result_id"], job["code_version"]) == (result, world.entry.code_version)
    event = world.instance.get_latest_materialization_event(asset_key_of("double")).asset_materialization
    assert event.partition == has
    assert event.metadata["computed or reused"].value == "reused"
    assert event.tags["dagster/code_version"] == world.entry.code_version
    assert isinstance(world.tick(), dg.SensorResult)  # only the other one is new


def test_a_running_job_whose_worker_died_after_the_record_is_done_without_a_run(world):
    write_jobs(world, 1)
    (run,) = world.launch(world.tick())
    (key,) = world.partitions()
    claim(world, key, run_id=run.run_id)
    world.add_record(key)
    world.end([run])
    assert isinstance(world.tick(), dg.SkipReason)
    assert list(world.jobs(JobState.DONE)) == [key]
    assert world.instance.get_materialized_partitions(asset_key_of("double")) == {key}


def test_a_job_that_is_to_be_computed_again_is_not_adopted(world):
    write_jobs(world, 1)
    world.end(world.launch(world.tick()))
    (key,) = world.partitions()
    world.add_record(key)
    world.tick()
    world.stores.ledger.requests.requeue("double", [key], who="me", reason="drift", force=True)
    assert world.asked(world.tick()) == [key]
    assert reuse_existing(world.instance, world.entry, world.stores) == 0


def test_a_result_that_cannot_be_reused_is_left_to_a_run_and_holds_up_nobody(world):
    write_jobs(world, 5)
    world.tick()
    fine, spoiled, moved, damaged, lacks = (key_of(world, number) for number in range(5))
    world.add_record(fine)
    location = world.add_record(spoiled)["location"]
    world.stores.results.put_bytes(location, "double.txt", b"3")
    gone = f"s3://a-bucket-that-is-gone/{'b' * 64}/7d0c3f5e-5d1a-4b7e-9a68-0d7f0a2a8c11"
    for key, change in ((moved, {"$set": {"location": gone}}), (damaged, {"$unset": {"processing": 1}})):
        records_of(world.stores.records).update_one({"_id": world.add_record(key)["_id"]}, change)
    assert set(world.asked(world.tick())) == {spoiled, moved, damaged, lacks}
    assert list(world.jobs(JobState.DONE)) == [fine]
    assert world.instance.get_materialized_partitions(asset_key_of("double")) == {fine}


def test_a_tick_adopts_a_limited_number(world):
    limits = TickLimits(reused=2)
    write_jobs(world, 5)
    world.tick()
    for key in world.jobs():
        world.add_record(key)
    assert [reuse_existing(world.instance, world.entry, world.stores, limits=limits) for _ in range(4)] == [2, 2, 1, 0]
    assert len(world.jobs(JobState.DONE)) == 5


def test_jobs_of_another_analysis_are_left_alone(world, make_world, folder_inbox, database):
    other = make_world(folder_inbox, database, analysis="misbehave")
    other.write("a.json", b'{"s3_location": ["s3://b/a"]}')
    other.tick()
    (key,) = other.jobs()
    claim(other, key, expired=True)
    write_jobs(world, 1)
    assert len(world.asked(world.tick())) == 1
    assert other.jobs()[key]["state"] == "running"
    assert key not in world.partitions()


# -- rejected -----------------------------------------------------------------------------------------------------


def table(metadata):
    return [record.data for record in metadata["rejected files"].records]


def test_bad_files_are_reported_when_their_list_changes_and_until_they_are_mended(world):
    world.write("a.json", b"{")
    observation, check = world.tick().asset_events
    reason = world.bad()["a.json"]
    assert observation.asset_key == check.asset_key == inbox_key_of("double")
    assert (check.check_name, check.passed) == (CHECK_NAME, False)
    assert observation.metadata["count"].value == 1
    assert table(observation.metadata) == table(check.metadata) == [{"file": "a.json", "reason": reason}]
    assert world.tick().skip_message == "No new jobs. 0 files read, 1 rejected."
    world.write("b.json", b"[")
    observation, _ = world.tick().asset_events
    assert [row["file"] for row in table(observation.metadata)] == ["a.json", "b.json"]
    world.write("a.json", job_file(1))
    Path(world.stores.inbox.root, "double", "b.json").unlink()
    found = world.tick()
    assert found.asset_events[1].passed
    assert table(found.asset_events[0].metadata) == []
    world.launch(found)
    assert isinstance(world.tick(), dg.SkipReason)


def test_a_report_that_was_lost_is_made_again(world):
    world.write("a.json", b"{")
    world.tick()
    world.cursor = None
    assert len(world.tick().asset_events) == 2


def test_only_so_many_bad_files_are_shown_but_all_are_counted(world):
    world.limits = TickLimits(shown_files=2)
    for number in range(3):
        world.write(f"{number}.json", b"{")
    observation, _ = world.tick().asset_events
    assert (len(table(observation.metadata)), observation.metadata["count"].value) == (2, 3)


def test_the_check_fails_while_a_file_is_refused(world):
    check = build_inbox_check(world.entry)
    assert check(inbox_notes=world.stores.notes).passed
    world.write("a.json", b"{")
    world.tick()
    found = check(inbox_notes=world.stores.notes)
    assert not found.passed
    assert [row["file"] for row in table(found.metadata)] == ["a.json"]


# -- the sensor itself ---------------------------------------------------------------------------------------------


def evaluate(world, *, dry_run=False):
    @dg.asset(key=asset_key_of("double"), partitions_def=dg.DynamicPartitionsDefinition(name="double"))
    def double(): ...

    sensor = build_sensor(world.entry, dry_run=dry_run)
    stores = world.stores
    context = dg.build_sensor_context(
        instance=world.instance,
        cursor=world.cursor,
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


def test_dagster_evaluates_the_sensor(world):
    write_jobs(world, 2)
    world.write("bad.json", b"{")
    found = evaluate(world)
    (request,) = found.run_requests
    keys = world.partitions()
    assert {START: keys[0], END: keys[1], KEYS_TAG: keys_digest(keys)}.items() <= request.tags.items()
    assert len(found.asset_events) == 2
    assert found.cursor
    assert found.skip_message is None


def test_with_dry_run_the_sensor_only_reports(world):
    write_jobs(world, 2)
    world.write("bad.json", b"{")
    found = evaluate(world, dry_run=True)
    assert found.run_requests == []
    assert found.skip_message.startswith("DRY_RUN is set: nothing was done. 3 files to ingest, 2 new jobs.")
    assert "rejected file bad.json: Job file bad.json is not JSON" in found.skip_message
    assert (world.jobs(), world.bad(), world.partitions()) == ({}, {}, [])
    assert found.skip_message == preview(world.entry, world.stores)


def test_a_preview_counts_only_jobs_that_are_unknown(world):
    write_jobs(world, 1)
    world.tick()
    world.write("again.json", job_file(0))
    world.write("new.json", job_file(1))
    assert preview(world.entry, world.stores).startswith(
        "DRY_RUN is set: nothing was done. 2 files to ingest, 1 new job.\nnew job "
    )


def test_run_keys_of_different_requests_differ(world):
    ledger = world.stores.ledger
    write_jobs(world, 3)
    seen = []
    for _ in range(3):
        found = world.tick()
        seen += [request.run_key for request in found.run_requests]
        ledger.requests.requeue("double", world.jobs(), who="me")
    assert len(set(seen)) == 3
    assert all(one != other for one, other in pairwise(seen))


def test_a_job_from_the_command_line_is_asked_for_like_one_from_a_file(world):
    write_jobs(world, 1)
    world.tick()
    entry = world.stores.ledger.jobs.get("double", world.partitions()[0])
    stored = entry.stored_job.model_copy(update={"job_key": "f" * 64})
    world.stores.ledger.requests.store([(stored, Source(name="me"))], code_version=world.entry.code_version)
    assert "f" * 64 in world.asked(world.tick())
