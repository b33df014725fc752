"""S3 answers with errors, not at all, or with half of what it should; MongoDB drops connections."""

import time

import pytest

from tests.faults import sizes
from tests.faults.injection import Fault
from tests.faults.test_killed_processes import JOBS, PUBLISHING, SENSOR

pytestmark = pytest.mark.slow

READ_S = 1.0
"""How long children wait for S3 here; a minute in life."""

SPOILED = {
    "500": (30, "S3 answers 500"),
    "503": (31, "S3 answers 503 (slow down)"),
    "silence": (32, "S3 does not answer (time-out)"),
    "half": (33, "S3 answers half a body"),
    "reset": (34, "S3 resets the connection"),
    "drop": (35, "S3 closes the connection"),
}
DROPPED = (36, "MongoDB's connection breaks")
OUTAGE = (37, "S3 is unavailable for longer than one call is retried")

WRITES = [PUBLISHING[step] for step in ("file", "manifest", "metadata")]
READS = [SENSOR[step] for step in ("list of files", "file")]
STORED = r"(HEAD|GET) .*/results"
MONGO = [PUBLISHING[step] for step in ("claim", "record", "done")] + [
    SENSOR[step] for step in ("store jobs", "note files", "repair", "partitions added", "count the request")
]


def spoil(lab, stage, *faults):
    """Let faults happen while jobs come in and are processed; gives the seconds that it took."""
    stage.ask(*JOBS)
    lab.injection.arm(*faults)
    began = time.monotonic()
    stage.settle(s3_read_timeout_s=READ_S, run_tuning={"s3_read_timeout_s": READ_S})
    return time.monotonic() - began


@pytest.mark.parametrize("how", sizes.of(SPOILED, small=["503", "silence", "half"]))
@pytest.mark.parametrize("times", sizes.of([1, 3], small=[1]))
def test_answers_of_s3_that_are_spoiled_once_or_more_cost_nothing(lab, stage, judge, how, times):
    moments = ("before", "after") if how not in {"half", "silence"} else ("after",) if how == "half" else ("before",)
    chosen = [(at, moment) for at in (*WRITES, *READS) for moment in moments]
    if not sizes.FULL:
        chosen = [(WRITES[1], moments[-1]), (READS[0], moments[0])]
    faults = [Fault(at, moment, how=how, times=times) for at, moment in chosen]
    seconds = spoil(lab, stage, *faults)
    struck = [fault.struck for fault in faults if how != "half" or "PUT" not in fault.at]
    assert all(struck)
    state = judge(SPOILED[how], stage, injected=sum(fault.struck for fault in faults), seconds=seconds)
    assert state.extra == 0


@pytest.mark.parametrize("how", sizes.of(SPOILED, small=["half"]))
def test_answers_that_are_spoiled_while_a_result_is_verified_and_reused_change_nothing(lab, stage, judge, how):
    stage.ask(*JOBS)
    stage.settle()
    for key in stage.job_keys():
        stage.ledger.requests.requeue(stage.name, [key], who="a test")
    fault = Fault(STORED + r"|GET .*prefix=.*/results", "before" if how == "silence" else "after", how=how, times=3)
    lab.injection.arm(fault)
    began = time.monotonic()
    stage.settle(s3_read_timeout_s=READ_S, run_tuning={"s3_read_timeout_s": READ_S})
    state = judge(SPOILED[how], stage, injected=fault.struck, seconds=time.monotonic() - began)
    assert state.extra == 0


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("at", sizes.of(MONGO, small=MONGO[1:2]))
def test_connections_to_mongodb_that_break_cost_nothing(lab, stage, judge, at, moment):
    fault = Fault(at, moment, times=2)
    seconds = spoil(lab, stage, fault)
    state = judge(DROPPED, stage, injected=fault.struck, seconds=seconds)
    assert state.extra == 0


@pytest.mark.parametrize("how", sizes.of(["503", "reset"], small=["503"]))
def test_an_outage_of_s3_costs_the_executions_that_could_not_be_published(lab, stage, judge, how):
    fault = Fault(PUBLISHING["manifest"], "before", how=how, times=8)
    seconds = spoil(lab, stage, fault)
    state = judge(OUTAGE, stage, injected=fault.struck, seconds=seconds)
    assert state.extra <= 2
