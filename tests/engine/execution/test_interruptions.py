"""A run may end at any moment: the next one brings every job to the state that it would have had anyway."""

import signal

import psutil
import pytest

from domain.job.state import JobState
from domain.result.records import from_record
from engine.assets.materialization import provenance_of
from engine.execution.publish import differences
from tests.engine.execution.runs import folders_of_runs, killable
from tests.waiting import PATIENCE_S, wait_for

STEPS = ["claim", "put_file", "put_file", "put_bytes", "put_bytes", "begin", "commit", *2 * ["report"], "finish"]


def crashed(platform, key):
    """Let a run die, and do what every tick of the sensor does then."""
    assert not platform.run([key]).success
    repaired(platform, key)


def repaired(platform, key):
    """Do what every tick of the sensor does with jobs of dead runs."""
    job = platform.job(key)
    dead = [job.lease.run_id] if job.lease else []
    platform.services.ledger.claims.release_lost(platform.name, dead_runs=dead)
    assert platform.job(key).state in {JobState.NEW, JobState.DONE}


def end_state(platform, key):
    """Describe everything that counts about a job that was computed."""
    record, job = platform.record(key), platform.job(key)
    provenance = from_record(record)
    newest = platform.materializations(key)[0]
    assert differences(platform.services.results, provenance) == []
    assert provenance_of(newest.metadata) == provenance
    assert record["analysis_assets"]["attempt"] in platform.attempts_stored(key)
    return {
        "manifest": provenance.manifest_sha256,
        "data version": newest.tags["dagster/data_version"],
        "outputs": provenance.outputs,
        "state": job.state,
        "lease": job.lease,
        "force": job.force,
        "error": job.error,
        "result": job.result_id == platform.result_id(key),
        "superseded": len(platform.superseded(key)),
    }


UNDISTURBED = {
    "outputs": {"number": 7, "measure": None, "strict": 0.0},
    "state": JobState.DONE,
    "lease": None,
    "force": None,
    "error": None,
    "result": True,
    "superseded": 0,
}


@pytest.fixture(scope="module")
def manifest_digest():
    """Remember the digest that every test of this module must come to: the files are the same in all of them."""
    return set()


def test_an_undisturbed_run_takes_these_steps(misbehave, marks, verbs):
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    assert misbehave.run([key]).success
    assert verbs.calls == STEPS
    assert marks[1]() == 1


@pytest.mark.parametrize("at", range(1, len(STEPS) + 1))
def test_a_run_that_dies_before_any_step_costs_one_execution_at_most(misbehave, marks, verbs, at, manifest_digest):
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    verbs.at = at
    crashed(misbehave, key)
    assert len(verbs.calls) >= at
    verbs.at = None
    assert misbehave.run([key]).success
    state = end_state(misbehave, key)
    manifest_digest |= {state.pop("manifest"), state.pop("data version")}
    assert state == UNDISTURBED
    assert len(manifest_digest) == 1
    assert marks[1]() == (2 if 2 <= at <= 5 else 1), "a complete attempt is committed without executing"
    assert len(misbehave.materializations(key)) == (
        2 if at >= 9 else 1
    )  # its verdicts and its end in the ledger come after it


@pytest.mark.parametrize("at", [4, 6, 8, 9])
def test_a_forced_run_that_dies_leaves_the_old_result_or_the_new_one(misbehave, marks, verbs, at):
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    assert misbehave.run([key]).success
    old = misbehave.record(key)
    misbehave.services.ledger.requests.requeue("misbehave", [key], who="somebody", reason="better drift", force=True)
    verbs.calls.clear()
    verbs.at = at
    crashed(misbehave, key)
    assert differences(misbehave.services.results, from_record(misbehave.record(key))) == []
    verbs.at = None
    assert misbehave.run([key]).success
    state = end_state(misbehave, key)
    assert (state["state"], state["force"], state["lease"]) == (JobState.DONE, None, None)
    assert misbehave.record(key)["location"] != old["location"]
    assert marks[1]() <= 3
    kept = {d["location"]: d["superseded"] for d in misbehave.superseded(key)}
    assert (kept[old["location"]]["who"], kept[old["location"]]["reason"]) == ("somebody", "better drift")
    assert misbehave.record(key)["location"] not in kept


def test_a_run_that_dies_while_it_recovers_loses_nothing(misbehave, marks, verbs):
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    verbs.at = STEPS.index("commit") + 1
    crashed(misbehave, key)
    for at in (1, 2, 3):  # the claim, the insert, and Dagster
        verbs.calls.clear()
        verbs.at = at
        crashed(misbehave, key)
    verbs.at = None
    assert misbehave.run([key]).success
    assert end_state(misbehave, key)["state"] is JobState.DONE
    assert marks[1]() == 1


@pytest.mark.slow
@pytest.mark.parametrize("at", [2, 5, 8])
def test_a_killed_process_costs_one_execution_at_most(misbehave, marks, docdb_uri, home, at):
    (key,) = misbehave.ingest({"number": 7, "note": marks[0]})
    assert killable(misbehave, [key], docdb_uri, home, at=at).wait(60) == -signal.SIGKILL
    repaired(misbehave, key)
    (leftover,) = folders_of_runs(misbehave)
    assert misbehave.run([key]).success
    state = end_state(misbehave, key)
    assert {k: state[k] for k in UNDISTURBED} == UNDISTURBED
    assert marks[1]() == (2 if at < 6 else 1)
    assert not leftover.exists(), "the private folder of a dead run is removed"


@pytest.mark.slow
def test_nothing_is_left_running_when_the_runs_process_is_killed(misbehave, marks, docdb_uri, home):
    keys = misbehave.ingest({"mode": "grandchild", "note": marks[0]}, {"mode": "sleep", "seconds": 2.9, "number": 2})
    run = killable(misbehave, keys, docdb_uri, home)

    def family():
        found = {p: _command(p) for p in psutil.Process(run.pid).children(recursive=True)}
        return any(marks[0] in " ".join(c) for c in found.values()) and list(found)

    processes = wait_for(family, "the job did not begin")
    run.kill()
    run.wait(PATIENCE_S)
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_S)
    assert [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert {misbehave.job(key).state for key in keys} == {JobState.RUNNING}


def _command(process):
    """Give a process's arguments; those of one that is gone are empty."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
