"""Several at once: twenty workers for one job, two platforms on one inbox, clocks that differ, an owner that slept."""

import os
import signal
import time
import uuid

import pytest

from tests.faults import child, processes, sizes
from tests.faults.injection import Fault
from tests.faults.sizes import SLOW_S
from tests.faults.stage import BUCKET
from tests.faults.test_killed_processes import JOBS, PUBLISHING
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

TWENTY = (50, "twenty workers race for one job")
TWO_PLATFORMS = (51, "two daemons on one inbox")
CLOCK = (52, "clocks of two workers differ by an hour")
SLEEPER = (55, "owner stopped for longer than its lease, then goes on")
REFUSED = (54, "S3 refuses a worker whose clock is an hour off")
LEASE_S = 2.0
needs_wrong_clock = pytest.mark.skipif(
    not processes.can_have_wrong_clock(), reason="libfaketime is absent: apt-get install faketime"
)

STOPPED_AT = {"file": "before", "manifest": "before", "metadata": "after", "record": "before", "done": "before"}


def racers(stage, keys, starters):
    """Start workers that begin together; wait until all have ended."""
    gate = stage.folder / f"gate_{uuid.uuid4().hex}"
    started = [start(child.race, stage.environment, keys=keys, gate=str(gate)) for start in starters]
    wait_for(lambda: len(list(gate.parent.glob(f"{gate.name}.*"))) == len(started), "not every worker is ready")
    gate.touch()
    wait_for(lambda: len(list(gate.parent.glob(f"{gate.name}.*.ended"))) == len(started), "a worker does not end")
    return [path.read_text(encoding="ascii") for path in gate.parent.glob(f"{gate.name}.*.ended")]


def worker(**tuning):
    """Return what starts a worker."""
    return lambda task, environment, **said: processes.start(
        task, environment, run_id=str(uuid.uuid4()), **said, **tuning
    )


def worker_with_clock(hours, started):
    """Return what starts a worker whose clock is wrong."""

    def start(task, environment, **said):
        said["run_id"] = str(uuid.uuid4())
        started.append(processes.start_with_wrong_clock(task, environment, hours=hours, **said))

    return start


@pytest.fixture
def open_s3(lab, tmp_path, monkeypatch):
    """Give an S3 server that does not look at the clock of its clients."""
    lab.undisturbed(SLOW_S)  # on the usual one
    found = processes.OpenS3(tmp_path / "open", BUCKET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.endpoint)
    yield found
    found.stop()


@pytest.mark.parametrize("race", range(sizes.number("RACES", full=5, small=1)))
def test_of_twenty_workers_that_race_for_a_job_one_executes_it(stage, judge, race):
    stage.ask(race)
    (run,) = stage.tick()
    began = time.monotonic()
    ended = racers(stage, stage.job_keys(), [worker()] * 20)
    assert sorted(ended) == ["computed"] + ["reused"] * 19
    (job,) = stage.ledger.jobs.get_many(stage.name, stage.job_keys()).values()
    assert [attempt.outcome for attempt in job.attempts].count("done") == 1
    stage.wait([stage.start_run(run)])  # tells Dagster, whom the racers did not know
    stage.settle()
    state = judge(TWENTY, stage, injected=1, seconds=time.monotonic() - began)
    assert state.extra == 0


@pytest.mark.parametrize("jobs", sizes.of([(0,), JOBS, range(8)], small=[JOBS]))
def test_two_platforms_on_one_inbox_execute_each_job_once(lab, stage, judge, jobs):
    stage.ask(*jobs, seconds=SLOW_S)
    other = lab.stage(beside=stage)
    other.asked = stage.asked
    both, began = (stage, other), time.monotonic()
    for _ in range(6):
        ticks = [(platform, *platform.start_tick()) for platform in both]
        runs = [(platform, platform.launch(platform.answer_of(*tick))) for platform, *tick in ticks]
        both[0].wait([platform.start_run(run) for platform, found in runs for run in found])
        if not any(found for _, found in runs) and all(platform.rests() for platform in both):
            break
    seconds = time.monotonic() - began
    state = judge(TWO_PLATFORMS, stage, injected=1, seconds=seconds, slow=SLOW_S, beside=other)
    assert state.extra == 0
    other.close()


@needs_wrong_clock
@pytest.mark.parametrize("hours", sizes.of([1, -1], small=[1]))
def test_a_worker_whose_clock_is_an_hour_off_respects_leases_and_keeps_its_own(lab, judge, open_s3, hours):
    stage, wrong = lab.stage(s3_endpoint=open_s3.endpoint), []
    stage.ask(*JOBS, seconds=SLOW_S)
    (run,) = stage.tick()
    began = time.monotonic()
    ended = racers(
        stage, stage.job_keys(), [worker_with_clock(hours, wrong), worker(), worker_with_clock(hours, wrong)]
    )
    assert [process.wait(30) for process in wrong] == [0, 0]
    assert set(ended) <= {"computed", "reused"}
    stage.wait([stage.start_run(run)])
    stage.settle()
    state = judge(CLOCK, stage, injected=1, seconds=time.monotonic() - began, slow=SLOW_S)
    assert state.extra == 0
    stage.close()


@needs_wrong_clock
@pytest.mark.parametrize("hours", sizes.of([1, -1], small=[]))
def test_s3_refuses_a_worker_whose_clock_is_an_hour_off_and_the_job_says_so(stage, judge, hours):
    stage.ask(0)
    (run,) = stage.tick()
    wrong = []
    ended = racers(stage, stage.job_keys(), [worker_with_clock(hours, wrong)])
    assert (wrong[0].wait(30), ended) == (0, ["failed"])
    (job,) = stage.ledger.jobs.get_many(stage.name, stage.job_keys()).values()
    assert (job.error.kind, job.error.permanent) == ("server", False), job.error
    assert "this machine's clock is 3" in job.error.message
    began = time.monotonic()
    stage.ledger.requests.requeue(stage.name, stage.job_keys(), who="a test")
    stage.wait([stage.start_run(run)])
    stage.settle()
    state = judge(REFUSED, stage, injected=1, seconds=time.monotonic() - began, by_hand=True)
    assert state.extra == 1, "the later attempts look into S3 first, and execute nothing"


@pytest.mark.parametrize("step", sizes.of([*STOPPED_AT, "user code"], small=["record"]))
def test_an_owner_that_slept_longer_than_its_lease_does_not_publish_over_the_new_one(lab, stage, judge, step):
    stage.ask(0, seconds=SLOW_S)
    other = lab.stage(beside=stage)
    other.asked = stage.asked
    (run,) = stage.tick()
    fault = Fault(
        PUBLISHING.get(step, "never"), STOPPED_AT.get(step, "before"), act=lambda: os.kill(owner.pid, signal.SIGSTOP)
    )
    lab.injection.arm(fault)
    owner = stage.start_run(run, lease_s=LEASE_S)
    if step == "user code":
        wait_for(stage.marks, "the job did not begin")
        fault.act()
        fault.struck = 1
    wait_for(lambda: fault.struck, "the step was not reached")
    began = time.monotonic()
    (lease,) = [job.lease for job in stage.ledger.jobs.get_many(stage.name, stage.job_keys()).values()]
    wait_for(lambda: stage.ledger.mongo.now() > lease.until, "the lease does not expire")
    other.settle()
    record = stage.records.get(next(iter(stage.ledger.jobs.get_many(stage.name, stage.job_keys()).values())).result_id)
    files = stage.results.list_files(record["location"])
    os.kill(owner.pid, signal.SIGCONT)
    stage.wait([owner])
    stage.monitor()
    assert stage.records.get(record["_id"]) == record
    assert stage.results.list_files(record["location"]) == files
    seconds = other.settle() + time.monotonic() - began
    state = judge(SLEEPER, other, injected=fault.struck, seconds=seconds, slow=SLOW_S)
    assert state.extra <= 1
    other.close()
