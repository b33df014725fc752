"""Jobs for tests of the ledger, and short names for what a worker does with them."""

import threading
from datetime import UTC, datetime

from domain.failures import JobError
from domain.job.identity import JobInputs, job_key
from domain.job.job_file import Job
from domain.job.state import JobState
from domain.job.stored import Source, StoredJob
from resources.ledger.claims import Finished

NEW, RUNNING, DONE, FAILED, ARCHIVED = JobState
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CODE, NEXT_CODE = "1+000000000000", "1+111111111111"
ERROR = JobError(kind="exception", message="boom", permanent=True, traceback="Traceback …", log="ä")


def job_of(number, *, analysis="demo"):
    inputs = JobInputs.of(Job(s3_location=(f"s3://Bucket/{number}/",)))
    parameters = {"bin_s": 0.05, "labels": ["ä", None], "window": {"stop_s": 1.0}, "n": 2**50}
    return StoredJob(
        analysis=analysis,
        job_key=job_key(inputs, parameters),
        inputs=inputs,
        parameters=parameters,
        origins={"bin_s": "default"},
    )


def stored(ledger, number=0, *, analysis="demo", code_version=CODE, name="file.json"):
    """Store a job and give its entry."""
    job = job_of(number, analysis=analysis)
    ledger.requests.store([(job, Source(name=name))], code_version=code_version)
    return ledger.jobs.get(analysis, job.job_key)


def claim(ledger, entry, attempt="a1", *, owner="worker", run_id="run", states=(NEW,)):
    return ledger.claims.claim(entry, attempt=attempt, owner=owner, run_id=run_id, code_version=CODE, states=states)


def finish(ledger, entry, attempt="a1"):
    ledger.claims.finish([Finished(entry, attempt, "result")], code_version=CODE)


def fail(ledger, entry, attempt="a1"):
    ledger.claims.fail(entry, attempt=attempt, code_version=CODE, error=ERROR)


def cancelled(ledger, entry):
    """Cancel a job; gives how many were cancelled."""
    return ledger.requests.cancel("demo", [entry.job_key], who="ann", reason="x", code_version=CODE)


def now(ledger, entry):
    """Read an entry again."""
    return ledger.jobs.get(entry.analysis, entry.job_key)


def done(ledger, number=0):
    """Store a job and bring it to its end."""
    entry = stored(ledger, number)
    claim(ledger, entry)
    finish(ledger, entry)
    return now(ledger, entry)


def failed(ledger, number=0):
    """Store a job and let it fail."""
    entry = stored(ledger, number)
    claim(ledger, entry)
    fail(ledger, entry)
    return now(ledger, entry)


def together(count, work):
    """Run `work(number)` in threads that start at once; give what each returned."""
    barrier, answers = threading.Barrier(count), [None] * count

    def one(number):
        barrier.wait()
        answers[number] = work(number)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
