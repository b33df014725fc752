"""A run's jobs side by side, and what a run leaves when it ends early."""

import threading
import time

import psutil
import pytest

from domain.errors import ServerUnavailableError
from domain.job.state import JobState
from engine.worker.processors import available_cpus
from resources.ledger.claims import JobClaims
from resources.ledger.ledger import Ledger
from tests.engine.execution.runs import folders_of_runs
from tests.waiting import PATIENCE_S, wait_for


def test_a_cancelled_run_gives_every_job_back_at_once_and_leaves_no_process(misbehave, marks):
    slow = [{"mode": "sleep", "seconds": 2.0, "number": n, "note": marks[0]} for n in range(15)]
    keys = misbehave.ingest({"note": marks[0]}, *slow)
    with misbehave.batch() as batch:
        next(batch.outcomes(keys))
        workers = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
    assert workers
    assert psutil.wait_procs(workers, timeout=PATIENCE_S)[1] == []
    assert {misbehave.job(key).state for key in keys} == {JobState.NEW}
    assert all(misbehave.job(key).lease is None for key in keys)
    begun_jobs = marks[1]()
    time.sleep(1)
    assert marks[1]() == begun_jobs < len(keys), "nothing is begun once the run has ended"
    assert folders_of_runs(misbehave) == []


def test_a_run_that_ends_while_a_job_waits_for_its_next_attempt_begins_no_other(make_platform, misbehave, marks):
    patient = misbehave.entry.analysis.retry.model_copy(update={"delay_s": 3000.0})
    analysis = misbehave.entry.analysis.model_copy(update={"retry": patient})
    platform = make_platform(type(misbehave.entry)(**{**misbehave.entry.__dict__, "analysis": analysis}))
    short, key = platform.ingest({"number": 1}, {"mode": "transient_once", "note": marks[0]})
    with platform.batch() as batch:
        assert [outcome.job_key for outcome in next(batch.outcomes([short, key]))] == [short]
        wait_for(
            lambda: platform.job(key).attempts and platform.job(key).state is JobState.NEW,
            "the job does not wait for its next attempt",
        )
    assert marks[1]() == 1
    assert platform.job(key).state is JobState.NEW


def test_leases_are_extended_as_long_as_the_run_lasts(misbehave):
    run = misbehave.having(ledger=misbehave.ledger_with_leases_of(1.5))
    (key,) = misbehave.ingest({"mode": "sleep", "seconds": 2.5})
    seen = set()
    with run.batch() as batch:
        thread = threading.Thread(target=lambda: [batch.settled(ended) for ended in batch.outcomes([key])])
        thread.start()
        while thread.is_alive():
            job = misbehave.job(key)
            if job.lease:
                seen.add(job.lease.until)
                misbehave.services.ledger.claims.release_lost(
                    "misbehave", dead_runs=[]
                )  # and what other tests left running
                assert misbehave.job(key).state is not JobState.NEW
            time.sleep(0.1)
    assert len(seen) > 3
    assert [a.outcome for a in misbehave.job(key).attempts] == ["done"]


def test_a_ledger_that_is_away_does_not_end_the_heartbeat_nor_the_way_out(misbehave):
    (key,) = misbehave.ingest({"number": 1})
    away, requested = threading.Event(), threading.Event()

    class ClaimsGoAway(JobClaims):
        """Claims whose server does not answer from some moment on."""

        def extend(self, owner):
            """Extend leases, as long as the server answers."""
            return super().extend(owner) if not away.is_set() else self.fails()

        def release(self, entry, **words):
            """Give a job back, as long as the server answers."""
            return super().release(entry, **words) if not away.is_set() else self.fails()

        def fails(self):
            """Say that the server does not answer."""
            requested.set()
            message = "MongoDB did not answer"
            raise ServerUnavailableError(message)

    class GoesAway(Ledger):
        """A ledger with these claims."""

        @property
        def claims(self):
            """Give the same claims, which go away."""
            return ClaimsGoAway(**vars(super().claims))

    run = misbehave.having(ledger=misbehave.ledger_with_leases_of(0.1, GoesAway))
    with run.batch() as batch:
        list(batch.outcomes([key]))
        away.set()
        assert requested.wait(5)
    assert misbehave.job(key).state is JobState.RUNNING, "the lease expires by itself"
    assert misbehave.record(key) is not None


def test_an_outcome_of_an_unknown_job_settles_nothing(double):
    with double.batch() as batch:
        ((outcome,),) = batch.outcomes(["0" * 64])
        batch.settled([outcome])
    assert outcome.error.kind == "unknown_job"
    assert double.job("0" * 64) is None


@pytest.mark.parametrize("given", [1, 2])
def test_an_analysis_without_workers_has_one_for_each_processor_that_the_run_was_given(
    make_platform, misbehave, monkeypatch, given
):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", str(given))
    analysis = misbehave.entry.analysis.model_copy(update={"workers": None})
    platform = make_platform(type(misbehave.entry)(**{**misbehave.entry.__dict__, "analysis": analysis}))
    keys = platform.ingest(*({"number": n} for n in range(3)))
    with platform.batch() as batch:
        ended = [outcome for some in batch.outcomes(keys) for outcome in some]
        workers = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
        assert len(workers) == min(given, available_cpus())
    assert {outcome.provenance.resources.cpu_cores for outcome in ended} == {min(given, available_cpus())}
