"""The worker processes of a run: how they end, and that no thread waits for them forever."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import pytest

from engine.discovery.analyses import load_analysis
from engine.worker.pool import WorkerPool
from engine.worker.task import Task, Work
from resources.inputs.reader import InputReader
from resources.s3.server import S3Server
from tests.waiting import PATIENCE_S, wait_for

MISBEHAVE = Path(__file__).parents[2] / "lab" / "misbehave.py"


@pytest.fixture
def task(tmp_path):
    """Give a function that makes a task in a new folder."""
    entry = load_analysis(MISBEHAVE)

    def make(**parameters):
        values = entry.analysis.parameters(**parameters).model_dump()
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return Task(MISBEHAVE, entry.code_version, (), (), values, folder, InputReader(S3Server()))

    return make


@pytest.fixture
def pool():
    """Give a pool of at most two workers."""
    made = WorkerPool(workers=2, time_limit_s=30)
    yield made
    made.stop()


def started(task):
    """Wait until a task is running; gives its process."""
    return int(wait_for(lambda: task.pid_file.exists() and task.pid_file.read_text(), "the task did not begin"))


def workers():
    """Give the worker processes that there are."""
    children = psutil.Process().children()
    return {child.pid for child in children if "spawn_main" in " ".join(child.cmdline())}


def in_thread(pool, task):
    """Run a task in a thread; gives the thread and the list that its result goes to."""
    found = []
    thread = threading.Thread(target=lambda: found.append(pool.run(task)))
    thread.start()
    return thread, found


def test_no_worker_is_started_before_the_first_job_and_no_more_than_there_are_jobs(pool, task):
    before = workers()
    pool.expect(1)
    assert workers() == before
    assert isinstance(pool.run(task()), Work)
    assert len(workers() - before) == 1


def test_stopping_ends_the_jobs_that_run_and_those_that_wait(pool, task):
    pool.expect(1)
    first, second = task(mode="grandchild"), task()
    threads = [in_thread(pool, first)]
    worker = psutil.Process(started(first))
    threads.append(in_thread(pool, second))
    family = [worker, *worker.children(recursive=True)]
    pool.stop()
    for thread, found in threads:
        thread.join(PATIENCE_S)
        (error,) = found
        assert (error.kind, error.permanent) == ("killed", False)
    assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []


def test_a_stopped_pool_takes_nothing_more(pool, task):
    before = workers()
    pool.stop()
    error = pool.run(task())
    assert (error.kind, error.permanent) == ("killed", False)
    assert "the run is ending" in error.message
    assert workers() == before
    assert not pool.is_active


def test_a_pool_whose_worker_died_while_idle_is_replaced(pool, task):
    pool.expect(1)
    first = task()
    assert isinstance(pool.run(first), Work)
    os.kill(started(first), signal.SIGKILL)
    wait_for(lambda: not pool.is_active, "the pool does not see that its worker died")
    assert isinstance(pool.run(task()), Work)
    assert pool.is_active


def test_a_worker_that_is_to_end_is_reported_as_killed(pool, task):
    made = task(mode="hang")
    thread, found = in_thread(pool, made)
    os.kill(started(made), signal.SIGTERM)
    thread.join(PATIENCE_S)
    assert found[0].kind == "killed"
    assert "SIGKILL" in found[0].message


PROGRAM = """
from pathlib import Path
with Path("imported.txt").open("a") as file:
    file.write(f"{__name__} ")
if __name__ == "__main__":
    from engine.worker.pool import FreshContext
    process = FreshContext().Process(target=exec, args=("import sys; sys.exit(7)",))
    process.start()
    process.join()
    assert process.exitcode == 7
"""


def test_a_worker_does_not_import_the_program_that_its_run_was_started_by(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, check=True)
    assert (tmp_path / "imported.txt").read_text(encoding="utf-8") == "__main__ "
