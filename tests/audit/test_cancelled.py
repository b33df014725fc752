"""The records of cancelled jobs: an earlier result of a cancelled rerun is valid, any other one is a difference."""

import pytest

from domain.failures import JobError
from domain.job.state import JobState
from tests.audit.test_audit import repaired


def rerun_and_cancel(platform, key, *, claimed=False, force=True):
    """Request a finished job again, and cancel it; gives the attempt of the rerun if it was claimed."""
    ledger, facts = platform.services.ledger, {"who": "ann", "reason": "recalibrated"}
    assert ledger.requests.requeue(platform.name, [key], **facts, force=force) == 1
    if claimed:
        version = platform.entry.code_version
        facts_of_run = {"attempt": "a2", "owner": "w", "run_id": "r", "code_version": version}
        assert ledger.claims.claim(platform.job(key), **facts_of_run, states=[JobState.NEW])
    assert ledger.requests.cancel(platform.name, [key], **facts, code_version=platform.entry.code_version) == 1


@pytest.mark.parametrize("claimed", [False, True], ids=["waiting", "running"])
@pytest.mark.parametrize("force", [False, True], ids=["rerun", "forced"])
def test_an_earlier_result_stays_current_when_its_rerun_is_cancelled(
    platform, sources, audited, computed, claimed, force
):
    rerun_and_cancel(platform, computed[0], claimed=claimed, force=force)
    assert platform.job(computed[0]).state is JobState.FAILED
    assert audited(content=True) == {}
    assert repaired(sources) == ({}, {})


def test_a_reused_result_stays_current_when_its_rerun_is_cancelled(platform, audited, done):
    assert platform.job(done[0]).attempts == ()
    rerun_and_cancel(platform, done[0], claimed=True)
    assert audited() == {}


def test_the_commit_of_a_lost_run_that_a_later_attempt_finished_stays_current(platform, audited, computed):
    key, version = computed[0], platform.entry.code_version
    (first,) = [one.model_dump() for one in platform.job(key).attempts]
    second = {**first, "attempt": "a1", "code_version": version}
    platform.change(key, attempts=[{**first, "ended": None, "outcome": None}, second])
    rerun_and_cancel(platform, key)
    assert audited() == {}


def test_a_record_that_a_cancelled_attempt_published_is_found_and_left_to_the_operator(
    platform, sources, audited, computed
):
    key = computed[0]
    platform.change(key, **{"attempts.0.outcome": None})
    rerun_and_cancel(platform, key)
    assert audited() == {"record_of_failed_job": 1}
    assert repaired(sources) == ({}, {"record_of_failed_job": 1})
    assert platform.job(key).error.kind == "cancelled", "only a person requests it again"


def test_a_record_that_the_job_never_had_is_found(platform, audited, done):
    rerun_and_cancel(platform, done[0])
    platform.change(done[0], result_id=None)
    assert audited() == {"record_of_failed_job": 1}


def test_an_earlier_result_of_a_job_that_failed_otherwise_is_found(platform, audited, computed):
    error = JobError(kind="server", message="x", permanent=False).model_dump()
    platform.change(computed[0], state="failed", error=error)
    assert audited() == {"record_of_failed_job": 1}
