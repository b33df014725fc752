"""What a child process does: evaluate the sensor, or execute a run, as Dagster's own processes would.

The project's definitions are loaded with the settings of the environment, and Dagster's storage is that of its home: a
child knows nothing of its parent but what is said to it.
"""

import contextlib
import json
import os
import sys
import threading
import warnings
from pathlib import Path

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from definitions import build_defs
from engine.assets.runs import job_name_of
from engine.discovery.analyses import find_analyses
from engine.execution.batch import BatchRun
from engine.execution.environment import Machine
from engine.execution.outcome import RunFacts, Services
from engine.worker.pool import WorkerPool
from engine.worker.process import job_error_of
from engine.worker.task import run_task
from resources.connections import ClientLimits, connect
from resources.settings import load_settings
from sensors.job_files.sensor import tick
from sensors.job_files.stores import Stores
from sensors.limits import LIMITS, TickLimits

LAB = Path(__file__).parent / "lab"
NAME = "counted"


def main(task, environment, said):
    """Do one task in a separate environment."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "DOCDB_", "ANALYSIS_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(environment)
    warnings.simplefilter("ignore")
    with Path(environment["FAULTS_LOG"]).open("ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    globals()[task](**said)


def evaluate(answer, *, grace_s=LIMITS.grace_s, **limits):
    """Evaluate the sensor once; its run requests go to a file instead of to the daemon."""
    settings = load_settings(env_file=Path("no.env"))
    found = connect(settings, limits=ClientLimits(**limits))
    stores = Stores(found.job_inbox, found.inbox_notes, found.ledger, found.record_store, found.results_store)
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
        result = tick(instance, None, find_analyses(LAB)[NAME], stores, limits=TickLimits(grace_s=grace_s))
    requests = result.run_requests or [] if isinstance(result, dg.SensorResult) else []
    requested = [{"run_key": request.run_key, "tags": dict(request.tags)} for request in requests]
    Path(f"{answer}.part").write_text(json.dumps(requested), encoding="utf-8")
    Path(f"{answer}.part").rename(answer)


def execute(run_id, *, pool="near", **limits):
    """Execute a run that was launched."""
    settings = load_settings(env_file=Path("no.env"))
    definitions = build_defs(settings, folder=LAB, pool=POOLS[pool], limits=ClientLimits(**limits))
    job = definitions.get_repository_def().get_job(job_name_of(NAME))
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
        execute_run(InMemoryJob(job), instance.get_run_by_id(run_id), instance)


def race(keys, run_id, gate, *, pool="near", **limits):
    """Process jobs without Dagster, as soon as a file is there; every racer waits for it."""
    settings = load_settings(env_file=Path("no.env"))
    found = connect(settings, limits=ClientLimits(**limits))
    work = Machine(settings.analysis_scratch)
    services = Services.of(found, work)
    found.ledger.jobs.get(NAME, keys[0])  # connected before the start
    Path(f"{gate}.{run_id}").touch()
    while not Path(gate).exists():
        threading.Event().wait(0.002)
    with BatchRun(find_analyses(LAB)[NAME], services, RunFacts(run_id=run_id), pool=POOLS[pool]) as batch:
        for ended in batch.outcomes(keys):
            batch.settled(ended)
            for outcome in ended:
                kind = outcome.kind
                if outcome.error is not None:
                    sys.stderr.write(f"{outcome.error}\n")
    Path(f"{gate}.{run_id}.ended").write_text(kind, encoding="ascii")


class NearPool(WorkerPool):
    """Executes jobs in the run's own process, one at a time: starting interpreters takes longer than a whole run.

    Working folder and variables stay as they are: other threads of the process, which publish meanwhile, see them too.
    """

    _one_at_a_time = threading.Lock()

    def __init__(self, **_):
        """Take what the real pool takes."""

    def expect(self, jobs):
        """Start nothing."""

    def stop(self):
        """End nothing."""

    def end(self, attempt):
        """End nothing."""

    def run(self, task):
        """Execute one job."""
        task.results.mkdir()
        task.log.touch()
        with self._one_at_a_time:
            try:
                return run_task(task, alone=False)
            except Exception as error:  # noqa: BLE001  as in a worker
                return job_error_of(error, task.transient)


POOLS = {"near": NearPool, "real": WorkerPool}
"""What runs user code: the run's own process, which is ready at once, or worker processes as in the product."""


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(*json.loads(sys.argv[1]))
