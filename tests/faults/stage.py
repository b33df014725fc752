"""A platform for one fault: new stores, an inbox in S3, a Dagster home, and processes that may be killed.

The test replaces Dagster's daemon: it has the sensor evaluated, launches the requested runs (no run key twice),
starts each run's process, and marks runs whose process died as failed. `test_dagster_processes.py` has the real one.
"""

import json
import os
import shutil
import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path

import dagster as dg

from definitions import build_defs
from domain.errors import ServerUnavailableError
from domain.job.state import JobState
from engine.assets.runs import UNFINISHED, job_name_of
from engine.discovery.analyses import find_analyses
from resources.connections import connect
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.settings import Settings
from tests.faults import child, processes
from tests.faults.child import LAB, NAME
from tests.faults.lab.counted import LOG_VARIABLE
from tests.waiting import wait_for

BUCKET = "faults"
ROUNDS = 12
"""Ticks that a stage may need to come to rest; each takes five seconds or more in life."""


class Stage:
    """One stage.

    Parameters
    ----------
    lab : Lab
        Servers and proxies, which stages share.
    folder : Path
        Where it keeps its own.
    mongo_uri : str, optional
        Another MongoDB than the lab's.
    beside : Stage, optional
        Another stage whose stores and inbox this one shares: two platforms at once.
    s3_endpoint, bucket : str, optional
        Another S3 server or bucket.
    """

    def __init__(self, lab, folder: Path, *, mongo_uri=None, beside=None, s3_endpoint=None, bucket=BUCKET) -> None:
        self.lab, self.folder, self.name = lab, folder, NAME
        folder.mkdir(parents=True)
        unique = uuid.uuid4().hex[:12]
        self.environment = (
            dict(beside.environment) if beside else self._environment(unique, mongo_uri, s3_endpoint, bucket)
        )
        self.environment["DAGSTER_HOME"] = str(folder / "dagster")
        shutil.copytree(lab.dagster_template, folder / "dagster")
        self.log = Path(self.environment["FAULTS_LOG"])
        self.execution_log = Path(self.environment[LOG_VARIABLE])
        self.ended_well, self.monitored = False, True
        self.answers, self.launched, self.working, self.asked = 0, set(), {}, set()
        settings = Settings(
            analysis_home=Path(self.environment["ANALYSIS_HOME"]),
            dagster_home=folder / "dagster",
            docdb_uri=mongo_uri or lab.mongo_uri,
            docdb_database=self.environment["DOCDB_DATABASE"],
            analysis_bucket=self.environment["ANALYSIS_BUCKET"],
            job_inbox=self.environment["JOB_INBOX"],
        )
        found = connect(settings)
        self.ledger, self.records, self.results, self.inbox = (
            found.ledger,
            found.record_store,
            found.results_store,
            found.job_inbox,
        )
        self.settings = settings
        self.entry = find_analyses(LAB)[NAME]
        self.job = build_defs(settings, folder=LAB).get_repository_def().get_job(job_name_of(NAME))
        prepare_dagster_home(settings)  # the configuration names the folder
        self.instance = dg.DagsterInstance.from_config(str(folder / "dagster"))

    def _environment(self, unique, mongo_uri, s3_endpoint, bucket):
        """Return the environment of every process of this stage."""
        return {
            "ANALYSIS_HOME": str(self.folder / "home"),
            "DOCDB_URI": mongo_uri or self.lab.proxied_mongo_uri,
            "DOCDB_DATABASE": f"faults_{unique}",
            "ANALYSIS_BUCKET": f"{bucket}/{unique}/results",
            "JOB_INBOX": f"s3://{bucket}/{unique}/inbox",
            "AWS_ENDPOINT_URL": s3_endpoint or self.lab.s3_proxy.endpoint,
            "AWS_ACCESS_KEY_ID": processes.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": processes.SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "FAULTS_LOG": str(self.folder / "children.log"),
            LOG_VARIABLE: str(self.folder / "executions"),
        }

    # -- what people do ------------------------------------------------------------------------------------------

    def ask(self, *numbers, seconds=0.0, name=None):
        """Write a job file for each number; gives nothing, as a dispatcher gets nothing."""
        self.asked |= set(numbers)
        for number in numbers:
            parameters = {"number": number, **({"seconds": seconds} if seconds else {})}
            data = json.dumps({"s3_location": ["s3://lab/asset"], "distributed_parameters": parameters})
            self.inbox.write(self.name, name or f"{number}.json", data.encode())

    # -- what Dagster's daemon does ------------------------------------------------------------------------------

    def tick(self, **tuning):
        """Have the sensor evaluated, launch the requested runs, and return them. A tick that dies requests none."""
        return self.launch(self.answer_of(*self.start_tick(**tuning)))

    def start_tick(self, **tuning):
        """Start the evaluation of the sensor; gives its process and the file for its answer."""
        self.answers += 1
        answer = self.folder / f"answer_{self.answers}.json"
        return processes.start(child.evaluate, self.environment, answer=str(answer), **tuning), answer

    def answer_of(self, process, answer):
        """Wait for the end of a tick; gives the run requests."""
        self.wait([process])
        self.ended_well = answer.exists()
        return json.loads(answer.read_text(encoding="utf-8")) if self.ended_well else []

    def launch(self, requests):
        """Make runs of run requests, none for a run key that was launched before."""
        runs = []
        for request in requests:
            if request["run_key"] not in self.launched:
                self.launched.add(request["run_key"])
                tags = {**request["tags"], "dagster/run_key": request["run_key"]}
                runs.append(self.instance.create_run_for_job(job_def=self.job, tags=tags).run_id)
        return runs

    def start_run(self, run_id, **tuning):
        """Start the process of a run."""
        process = processes.start(child.execute, self.environment, run_id=run_id, **tuning)
        self.working[run_id] = process
        return process

    def monitor(self):
        """Mark runs whose process has ended as failed, as Dagster's run monitoring does."""
        for run in self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)) if self.monitored else ():
            process = self.working.get(run.run_id)
            if process is not None and not process.is_alive():
                self.instance.report_run_failed(run)

    def wait(self, started):
        """Wait until processes have ended; servers that die are restarted."""
        wait_for(
            lambda: not any(process.is_alive() for process in started),
            f"still running, see {self.log}",
            moving=self.progress,
            meanwhile=self.lab.restart_what_died,
            every_s=0.02,
        )

    def progress(self):
        """Return a value that changes while jobs make progress: a heartbeat is not progress."""
        runs = sorted((run.run_id, run.status.value) for run in self.instance.get_runs())
        return runs, [path.stat().st_size for path in (self.log, self.execution_log) if path.exists()]

    def round(self, *, run_tuning=None, **tuning):
        """Tick once, and execute the requested runs."""
        runs = self.tick(**tuning)
        self.wait([self.start_run(run_id, **(run_tuning or {})) for run_id in runs])
        self.monitor()
        return runs

    def settle(self, **tuning):
        """Go on until there is nothing left to do; gives how long that took (s)."""
        began = time.monotonic()
        for _ in range(ROUNDS):
            if not self.round(**tuning) and self.ended_well and self.rests():
                return time.monotonic() - began
        counts = {state.value: n for state, n in self.ledger.jobs.counts(self.name).items() if n}
        message = f"not at rest after {ROUNDS} ticks: {counts}; see {self.log}"
        raise TimeoutError(message)

    def rests(self):
        """Return whether every file was ingested and no job is new or running."""
        with suppress(ServerUnavailableError):
            counts = self.ledger.jobs.counts(self.name)
            return not counts[JobState.NEW] and not counts[JobState.RUNNING]
        return False

    # -- what is there -------------------------------------------------------------------------------------------

    def job_keys(self):
        """Return the keys of all jobs."""
        return [key for state in JobState for key in self.ledger.jobs.keys_in(self.name, state)]

    def executions(self):
        """Return the number of each job that was executed, once for each execution."""
        return [number for number, _ in self.marks()]

    def marks(self):
        """Return number and process of every execution that began."""
        lines = self.execution_log.read_text(encoding="ascii").splitlines() if self.execution_log.exists() else []
        return [tuple(map(int, line.split())) for line in lines]

    def close(self):
        """End what may be left of this stage."""
        for process in self.working.values():
            if process.is_alive():
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGCONT)
                processes.kill_family(process.pid)
                process.join(10)
        self.instance.dispose()


def make_dagster_template(folder: Path) -> Path:
    """Make a Dagster home whose storage is ready; copying it takes a hundredth of making it."""
    home = prepare_dagster_home(Settings(analysis_home=folder, dagster_home=folder / "dagster"))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs(limit=1)
        instance.event_log_storage.get_asset_records([])
        instance.all_instigator_state()
    return home
