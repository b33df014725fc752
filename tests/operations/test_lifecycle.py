"""Cancel jobs, and invalidate results."""

from dataclasses import replace

import dagster as dg
import pytest

from cli.explain.run import explain
from domain.errors import UnknownJobError
from domain.failures import JobError
from domain.job.identity import result_id
from domain.job.state import JobState
from domain.result.records import to_record
from engine.assets.materialization import asset_key_of
from operations.lifecycle import Invalidation, cancel, invalidate, superseded
from operations.requests import ANY_FAULT, rerun, submit
from resources.ledger.ledger import Ledger
from results.summaries import results_of
from tests.provenances import rich
from tests.raw import jobs_of


@pytest.fixture
def keys(platform, tmp_path):
    """Ask for three jobs."""
    targets = [f"s3://bucket/{number}" for number in range(3)]
    return [job.job_key for job in submit(platform, "double", targets, by_hand={"number": 1})]


def give_result(platform, key, version=None, *, name="double"):
    """Store a result, as a run would have."""
    entry, connections = platform.entry(name), platform.connections
    version = version or entry.code_version
    result = result_id(name, version, key)
    record = to_record(rich(analysis=name, job_key=key, code_version=version, result_id=result))
    connections.record_store.commit(record)
    job = connections.ledger.jobs.get(name, key)
    connections.ledger.claims.mark_unclaimed(job, state=JobState.DONE, code_version=version, result_id=result)
    return result


def claimed_meanwhile(platform, key, state):
    """Return the platform as a command sees it that is slower than a run: a job is claimed before the first request."""
    ledger = platform.connections.ledger

    class Claiming(Ledger):
        """A ledger in which a run is faster."""

        @property
        def requests(self):
            """Claim a job before anything is requested."""
            job = ledger.jobs.get("double", key)
            ledger.claims.claim(job, attempt="a", owner="w", run_id="r", code_version="1+other", states=[state])
            return super().requests

    rival = Claiming(mongo=ledger.mongo, records_name=ledger.records_name)
    return replace(platform, connections=replace(platform.connections, ledger=rival))


def state_of(platform, key):
    return explain(platform, "double", key).state


def test_named_jobs_are_cancelled_and_say_so(platform, keys):
    assert cancel(platform, "double", keys=keys[:1], reason="wrong animal") == 1
    assert [state_of(platform, key) for key in keys] == ["cancelled", "new", "new"]
    found = explain(platform, "double", keys[0])
    assert found.reason.startswith("Cancelled by ")
    assert ": wrong animal. It is computed when it is rerun." in found.reason


def test_everything_that_waits_or_runs_is_cancelled_and_what_has_ended_stays(platform, keys):
    give_result(platform, keys[0])
    assert cancel(platform, "double", everything=True, reason="maintenance") == 2
    assert [state_of(platform, key) for key in keys] == ["done", "cancelled", "cancelled"]


def test_the_jobs_of_one_dispatch_are_cancelled(platform, keys):
    jobs = jobs_of(platform.connections.ledger)
    jobs.update_one({"job_key": keys[1]}, {"$set": {"sources.0.dispatch_id": "night-7"}})
    assert cancel(platform, "double", dispatch_id="night-7", reason="wrong query") == 1
    assert [state_of(platform, key) for key in keys] == ["new", "cancelled", "new"]


def test_a_key_that_is_not_known_cancels_nothing(platform, keys):
    with pytest.raises(UnknownJobError, match="is stored under nonsense"):
        cancel(platform, "double", keys=[keys[0], "nonsense"], reason="x")
    assert state_of(platform, keys[0]) == "new"


def test_cancelled_jobs_are_not_requested_again_with_those_that_failed(platform, keys):
    cancel(platform, "double", keys=keys[:1], reason="x")
    error = JobError(kind="killed", message="no memory", permanent=False).model_dump()
    job = platform.connections.ledger.jobs.get("double", keys[1])
    platform.connections.ledger.claims.mark_unclaimed(job, state=JobState.FAILED, code_version="1", error=error)
    assert rerun(platform, "double", failed=ANY_FAULT) == [keys[1]]
    assert rerun(platform, "double", failed="cancelled") == [keys[0]]
    with pytest.raises(UnknownJobError, match=r"no kind of failure 'asleep'\. The kinds are: exception, crash"):
        rerun(platform, "double", failed="asleep")


def test_what_a_run_has_claimed_since_is_not_reported_as_forced(platform, keys):
    """A run claims one of the jobs after their states were read."""
    raced = claimed_meanwhile(platform, keys[0], JobState.NEW)
    forced = rerun(raced, "double", keys=keys[:2], force_reason="drift")
    assert forced == [keys[1]]


def test_a_running_job_of_other_code_is_requested_for_the_current_code(platform, keys):
    ledger = platform.connections.ledger
    facts = {"attempt": "a", "owner": "w", "run_id": "r", "code_version": "1+other", "states": [JobState.NEW]}
    ledger.claims.claim(ledger.jobs.get("double", keys[0]), **facts)
    assert rerun(platform, "double", keys=keys[:1]) == []
    assert ledger.jobs.get("double", keys[0]).requested_code == platform.entry("double").code_version


@pytest.mark.parametrize("version", [None, "0+000000000000"], ids=["current code", "earlier code"])
def test_an_invalidated_result_leaves_the_results_and_stays_in_the_history(platform, keys, version):
    result = give_result(platform, keys[0], version)
    assert invalidate(platform, "double", keys[:1], reason="clock was wrong") == Invalidation((result,), ())
    records = platform.connections.record_store
    assert results_of(records, "double", code_version="any") == []
    (old,) = superseded(platform, "double")
    assert (old.result_id, old.how, old.reason) == (result, "invalidated", "clock was wrong")
    assert old.who
    assert old.as_dict()["when"].endswith("+00:00")
    found = explain(platform, "double", keys[0])
    assert found.state == "invalidated"
    assert "clock was wrong. It is computed again when it is rerun." in found.reason


def test_a_result_is_invalidated_wholly_when_the_command_was_cut_off(platform, keys):
    result = give_result(platform, keys[0])
    ledger = platform.connections.ledger
    ledger.requests.invalidate(ledger.jobs.get("double", keys[0]), who="ann", reason="x", code_version="1")
    assert invalidate(platform, "double", keys[:1], reason="x") == Invalidation((result,), ())
    assert platform.connections.record_store.get(result) is None


def test_jobs_that_a_run_claims_meanwhile_are_named_and_the_others_are_invalidated(platform, keys):
    """A run claims the first of three jobs after the command has read their results."""
    first, second, third = (give_result(platform, key) for key in keys)
    raced = claimed_meanwhile(platform, keys[0], JobState.DONE)
    found = invalidate(raced, "double", keys, reason="clock was wrong")
    assert found == Invalidation(results=(second, third), changed=(keys[0],))
    records = platform.connections.record_store
    assert [records.get(result) is not None for result in (first, second, third)] == [True, False, False]
    assert [state_of(platform, key) for key in keys] == ["running", "invalidated", "invalidated"]


@pytest.mark.parametrize("state", ["new", "running"])
def test_jobs_without_a_result_or_that_run_are_refused_and_nothing_is_changed(platform, keys, state):
    give_result(platform, keys[0])
    if state == "running":
        give_result(platform, keys[1])
        job = platform.connections.ledger.jobs.get("double", keys[1])
        states = [JobState.DONE]
        platform.connections.ledger.claims.claim(
            job, attempt="a", owner="o", run_id="r", code_version="1", states=states
        )
    expected = {"new": "has no result to invalidate: it is new", "running": "is running: wait for its end"}[state]
    with pytest.raises(UnknownJobError, match=expected):
        invalidate(platform, "double", keys[1:2], reason="x")
    assert [state_of(platform, key) for key in keys[:2]] == ["done", state]


def test_it_is_reported_to_dagster_on_the_partition(platform, keys, settings):
    settings.dagster_home.mkdir()
    (settings.dagster_home / "dagster.yaml").touch()
    result = give_result(platform, keys[0])
    invalidate(platform, "double", keys[:1], reason="clock was wrong")
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        (found,) = instance.fetch_observations(asset_key_of("double"), limit=5).records
    assert found.partition_key == keys[0]
    assert found.asset_observation.metadata["result"].value == result


def test_an_error_about_a_job_without_a_result_names_it(platform, keys):
    with pytest.raises(UnknownJobError) as raised:
        invalidate(platform, "double", keys[:1], reason="no result")
    assert (raised.value.analysis, raised.value.job_key) == ("double", keys[0])
