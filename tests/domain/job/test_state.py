"""Entries of the ledger: whether an operator ended a job before or after a run was launched."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.failures import JobError
from domain.job.identity import JobInputs
from domain.job.job_file import Job
from domain.job.state import JobState, LedgerEntry

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ended(kind, **fields):
    """Make the entry of a job that ended at noon."""
    return LedgerEntry(
        analysis="demo",
        job_key="a" * 64,
        inputs=JobInputs.of(Job(s3_location=("s3://b/x",))).model_dump(),
        parameters={},
        state=JobState.FAILED,
        error=JobError(kind=kind, message="", permanent=True),
        updated=NOON,
        **fields,
    )


@pytest.mark.parametrize("kind", ["cancelled", "invalidated"])
def test_a_job_that_was_ended_after_the_launch_is_not_the_runs(kind):
    assert ended(kind).was_ended_during("run", NOON - timedelta(seconds=1))
    assert not ended(kind).was_ended_during("run", NOON + timedelta(seconds=1))
    assert not ended(kind).was_ended_during("run", None)


def test_a_job_that_was_new_when_the_run_started_needs_no_clock():
    job = ended("cancelled", counted_run="run")
    assert job.was_ended_during("run", NOON + timedelta(seconds=1)), "two clocks differ by a second"
    assert job.was_ended_during("run", None)
    assert not job.was_ended_during("another run", NOON + timedelta(seconds=1))


def test_a_job_that_failed_otherwise_is_computed_again():
    assert not ended("exception", counted_run="run").was_ended_during("run", NOON - timedelta(seconds=1))
