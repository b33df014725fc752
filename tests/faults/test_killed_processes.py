"""SIGKILL at every step of publishing and of the sensor; a proxy strikes at the very request."""

import os
import signal
import time

import psutil
import pytest

from tests.faults import sizes
from tests.faults.injection import Fault
from tests.faults.sizes import SLOW_S
from tests.waiting import wait_for

PUBLISHING = {
    "start": r"update results_jobs .*fruitless",
    "claim": r"findAndModify results_jobs .*\$inc:attempt_number",
    "file": r"PUT .*/number\.txt$",
    "other file": r"PUT .*/noise\.bin$",
    "log": r"PUT .*/analysis\.log$",
    "manifest": r"PUT .*/manifest\.json$",
    "metadata": r"PUT .*/metadata\.nd\.json$",
    "record": r"insert results$",
    "done": r"update results_jobs .*state=done",
}
SENSOR = {
    "list of files": r"GET .*prefix=.*/inbox/",
    "file": r"GET .*/inbox/counted/1\.json",
    "store jobs": r"update results_jobs \$setOnInsert",
    "note files": r"update results_inbox",
    "repair": r"update results_jobs .*\$set:lease,state,updated .*state=new",
    "partitions added": r"find results_jobs fields=code_version,format,job_key,requests,state",
    "count the request": r"\$inc:unstarted",
}
MOMENTS = ("before", "after")
RUN = (10, "run worker killed at a step of publishing")
UNNOTICED = (13, "run worker and its supervisor killed together")
JOB_PROCESS = (11, "job process killed in user code")
TICK = (12, "sensor killed at a step of its tick")
MONGOD = (20, "mongod killed at a step of publishing")
MONGOD_TICK = (21, "mongod killed at a step of the sensor")
S3 = (22, "S3 server killed at a step of publishing")
S3_TICK = (23, "S3 server killed at a step of the sensor")

JOBS = (0, 1, 2)
PATIENT = "30"
"""Attempts of S3 calls, so that the server is back before they end, however slow the machine is."""


def steps(of, *, small):
    """Return every step with both moments, or a few of them."""
    return sizes.of([(step, moment) for step in of for moment in MOMENTS], small=small)


def killer(victim):
    """Return what kills whatever a function names, at once."""
    return lambda: os.kill(victim(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("step", "moment"),
    steps(PUBLISHING, small=[("claim", "after"), ("manifest", "before"), ("record", "before"), ("done", "before")]),
)
def test_a_run_killed_at_a_step_of_publishing_costs_the_jobs_that_were_running(lab, stage, judge, step, moment):
    stage.ask(*JOBS)
    (run,) = stage.tick()
    fault = Fault(PUBLISHING[step], moment, act=killer(lambda: process.pid))
    lab.injection.arm(fault)
    process = stage.start_run(run)
    stage.wait([process])
    assert process.exitcode == -signal.SIGKILL
    stage.monitor()
    state = judge(RUN, stage, injected=fault.struck, seconds=stage.settle())
    assert state.extra <= len(JOBS)


@pytest.mark.slow
def test_a_run_killed_in_user_code_takes_its_job_processes_along(lab, stage, judge):
    stage.ask(*JOBS, seconds=SLOW_S)
    (run,) = stage.tick()
    process = stage.start_run(run, pool="real")
    running = wait_for(stage.marks, "no job began")
    began = time.monotonic()
    process.kill()
    stage.wait([process])
    wait_for(lambda: not any(map(is_alive, {pid for _, pid in running})), "a job outlived its run")
    stage.monitor()
    stage.settle()
    state = judge(RUN, stage, injected=1, seconds=time.monotonic() - began, slow=SLOW_S)
    assert 1 <= state.extra <= 2


@pytest.mark.parametrize("step", sizes.of(["claim", "metadata", "done"], small=["metadata"]))
def test_a_run_whose_end_was_not_noticed_is_noticed_by_the_sensor(lab, stage, judge, step):
    stage.ask(*JOBS)
    (run,) = stage.tick()
    fault = Fault(PUBLISHING[step], "after", act=killer(lambda: process.pid))
    lab.injection.arm(fault)
    process = stage.start_run(run, lease_s=1.0)
    stage.wait([process])
    stage.monitored, began = False, time.monotonic()
    while not stage.rests():
        stage.round(grace_s=0.0)
    stage.monitored = True
    stage.settle()
    state = judge(UNNOTICED, stage, injected=fault.struck, seconds=time.monotonic() - began)
    assert state.extra <= len(JOBS)


@pytest.mark.slow
@pytest.mark.parametrize("times", sizes.of([1, 2], small=[1]))
def test_a_killed_job_process_costs_one_execution(lab, stage, judge, times):
    stage.ask(*JOBS, seconds=SLOW_S)
    (run,) = stage.tick()
    process = stage.start_run(run, pool="real")
    began = time.monotonic()
    for _ in range(times):
        seen = len(stage.marks())
        marks = wait_for(lambda seen=seen: len(stage.marks()) > seen and stage.marks(), "no job began")
        os.kill(marks[-1][1], signal.SIGKILL)
    stage.wait([process])
    stage.settle()
    state = judge(JOB_PROCESS, stage, injected=times, seconds=time.monotonic() - began, slow=SLOW_S)
    assert state.extra == times


@pytest.mark.parametrize(
    ("step", "moment"),
    steps(SENSOR, small=[("store jobs", "after"), ("partitions added", "before"), ("count the request", "after")]),
)
def test_a_sensor_killed_at_any_step_forgets_nothing_and_asks_for_nothing_twice(lab, stage, judge, step, moment):
    stage.ask(*JOBS)
    fault = Fault(SENSOR[step], moment, act=killer(lambda: process.pid))
    lab.injection.arm(fault)
    process, answer = stage.start_tick()
    assert stage.answer_of(process, answer) == []
    assert process.exitcode == -signal.SIGKILL
    state = judge(TICK, stage, injected=fault.struck, seconds=stage.settle())
    assert state.extra == 0


@pytest.mark.parametrize(
    ("step", "moment"),
    steps([s for s in PUBLISHING if s in {"claim", "record", "done"}], small=[("record", "after")]),
)
def test_a_mongod_killed_at_a_step_of_publishing_costs_nothing(lab, stage, judge, step, moment):
    stage.ask(*JOBS)
    (run,) = stage.tick()
    state = killed_server((lab, stage), judge, MONGOD, (PUBLISHING[step], moment), lab.servers.mongo, run)
    assert state.extra == 0


@pytest.mark.parametrize(
    ("step", "moment"),
    steps([s for s in PUBLISHING if s not in {"claim", "record", "done"}], small=[("metadata", "after")]),
)
def test_an_s3_server_killed_at_a_step_of_publishing_costs_nothing(lab, stage, judge, step, moment):
    stage.environment["AWS_MAX_ATTEMPTS"] = PATIENT
    stage.ask(*JOBS)
    (run,) = stage.tick()
    state = killed_server((lab, stage), judge, S3, (PUBLISHING[step], moment), lab.servers.s3, run)
    assert state.extra == 0


@pytest.mark.parametrize(
    ("step", "moment"),
    steps([s for s in SENSOR if s not in {"list of files", "file"}], small=[("note files", "before")]),
)
def test_a_mongod_killed_at_a_step_of_the_sensor_costs_nothing(lab, stage, judge, step, moment):
    stage.ask(*JOBS)
    state = killed_server((lab, stage), judge, MONGOD_TICK, (SENSOR[step], moment), lab.servers.mongo)
    assert state.extra == 0


@pytest.mark.parametrize(("step", "moment"), steps(["list of files", "file"], small=[("file", "before")]))
def test_an_s3_server_killed_at_a_step_of_the_sensor_costs_nothing(lab, stage, judge, step, moment):
    stage.environment["AWS_MAX_ATTEMPTS"] = PATIENT
    stage.ask(*JOBS)
    state = killed_server((lab, stage), judge, S3_TICK, (SENSOR[step], moment), lab.servers.s3)
    assert state.extra == 0


def killed_server(stages, judge, kind, at, server, run=None):
    """Kill a server at a step of a run, or of the sensor if there is no run; its supervisor starts it again."""
    lab, stage = stages
    fault = Fault(*at, act=killer(lambda: server.pid))
    lab.injection.arm(fault)
    began = time.monotonic()
    if run is not None:
        stage.wait([stage.start_run(run)])
        stage.monitor()
    stage.settle()
    return judge(kind, stage, injected=fault.struck, seconds=time.monotonic() - began)


def is_alive(pid):
    """Return whether a process is running."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
