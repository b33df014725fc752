"""The platform as the benchmark runs it: embedded servers, a real daemon, and stores that nothing was ever put into."""

import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from benchmarks.postgres import new_database, private_postgres
from cli.dagster_processes import dagster_process
from domain.errors import ServerUnavailableError
from domain.job.state import JobState
from operations.platform import Platform, open_platform
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.embedded.embedded import serving
from resources.settings import PROJECT_ROOT, RETIRED, Settings

Storage = Literal["sqlite", "postgres"]
STORAGES: tuple[Storage, ...] = ("sqlite", "postgres")
ANALYSES = Path(__file__).parent / "analyses"
_DEFINITIONS = """
from pathlib import Path
import dagster as dg
from definitions import build_defs
from resources.settings import Settings

@dg.definitions
def defs():
    return build_defs(Settings(), folder=Path({folder!r}))  # no load_settings: it would read the project's .env
"""
_STILL_S = 300


@dataclass(frozen=True)
class Stage:
    """One platform with its daemon.

    Attributes
    ----------
    platform : Platform
        The benchmark's analyses, over stores of this stage alone.
    """

    platform: Platform

    def drop(self, name: str, jobs: int, *, parameters: dict[str, Any] | None = None) -> float:
        """Write job files, all different; gives the time before the first."""
        folder, begin = uuid.uuid4().hex, time.time()
        for number in range(jobs):
            given = {"number": number, **(parameters or {})}
            content = json.dumps({"s3_location": [f"s3://bench/{folder}"], "distributed_parameters": given})
            self.platform.connections.job_inbox.write(name, f"{folder}/{number}.json", content.encode())
        return begin

    def done(self, name: str) -> int:
        """Count the jobs that are done."""
        jobs = self.platform.connections.ledger.mongo.collection(f"{self.platform.settings.docdb_collection}_jobs")
        return jobs.count_documents({"analysis": name, "state": JobState.DONE.value})  # one question, asked often

    def work_off(self, name: str, jobs: int) -> float:
        """Write job files and wait until they are done; gives the seconds from the first file to the last job."""
        wanted = self.done(name) + jobs
        begin = self.drop(name, jobs)
        self.wait(name, wanted)
        return time.time() - begin

    def wait(self, name: str, wanted: int) -> None:
        """Wait until as many jobs are done; counting seldom enough that it costs nothing."""
        done, moved = self.done(name), time.monotonic()
        while done < wanted:
            time.sleep(max(0.25, wanted / 20_000))
            before, done = done, self.done(name)
            if done > before:
                moved = time.monotonic()
            if time.monotonic() - moved > _STILL_S:
                counts = {
                    state.value: count for state, count in self.platform.connections.ledger.jobs.counts(name).items()
                }
                msg = f"Of {wanted} jobs of {name}, {done} are done and no other for {_STILL_S} s. The ledger has {counts}."
                raise ServerUnavailableError(msg)

    def runs(self, name: str) -> list[Any]:
        """Return the records of an analysis's runs, the first one first, once all have ended."""
        with dg.DagsterInstance.from_config(str(self.platform.settings.dagster_home)) as instance:
            while True:
                records = instance.get_run_records(dg.RunsFilter(job_name=f"{name}_batch"), ascending=True)
                if all(record.end_time for record in records):
                    return list(records)
                time.sleep(0.2)


@contextmanager
def bench_home(*, keep: tuple[str, ...] = ()) -> Iterator[Path]:
    """Run the embedded servers in a folder that is removed at the end, with nobody's settings but those to keep."""
    names = {name.upper() for name in Settings.model_fields} - set(keep) | set(RETIRED)
    others = [name for name in os.environ if name.startswith(("AWS_", "DAGSTER_")) and name not in keep]
    hidden = dict.fromkeys([*names, *others, "PYTHONDONTWRITEBYTECODE"])  # with the last, every import is slow
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        environment({**hidden, "ANALYSIS_HOME": folder}),
        serving(Path(folder)),
    ):
        yield Path(folder)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Give the address of a PostgreSQL server: that of DAGSTER_POSTGRES_URL, or one that runs for this alone.

    A user who may create databases is needed; each stage makes one.
    """
    given = os.environ.get("DAGSTER_POSTGRES_URL")
    with ExitStack() as stack:
        yield given or stack.enter_context(private_postgres())


@contextmanager
def storage(home: Path, kind: Storage, server: str | None = None) -> Iterator[Settings]:
    """Give settings for fresh stores: a database, an inbox and a home of Dagster that nothing was put into."""
    name = f"{kind}_{uuid.uuid4().hex[:8]}"
    variables = {
        "DOCDB_DATABASE": name,
        "JOB_INBOX": str(home / name / "inbox"),
        "DAGSTER_HOME": str(home / name / "dagster"),
        "DAGSTER_POSTGRES_URL": new_database(server) if server is not None and kind == "postgres" else None,
    }
    with environment(variables):
        settings = Settings()
        prepare_dagster_home(settings)
        yield settings


@contextmanager
def on_stage(settings: Settings, *, warm: tuple[str, ...] = ()) -> Iterator[Stage]:
    """Run a daemon over the benchmark's analyses; it has worked off a job of each of the named ones before."""
    home = settings.dagster_home.parent
    workspace = write_workspace(home)
    words = ["-m", "dagster._daemon", "run"]
    with (
        open_platform(settings, folder=ANALYSES) as platform,
        dagster_process(settings, words, log=home / "daemon.log", workspace=workspace),
    ):
        stage = Stage(platform)
        for name in warm:
            stage.work_off(name, 1)
        yield stage


def write_workspace(folder: Path, *others: Path) -> Path:
    """Write a workspace of the benchmark's analyses, and of other files with definitions."""
    definitions, workspace = folder / "bench_definitions.py", folder / "workspace.yaml"
    definitions.write_text(_DEFINITIONS.format(folder=str(ANALYSES)), encoding="utf-8")
    files = [f"{{relative_path: {path}, working_directory: {PROJECT_ROOT}}}" for path in (definitions, *others)]
    workspace.write_text("load_from:\n" + "".join(f"  - python_file: {file}\n" for file in files), encoding="utf-8")
    return workspace


@contextmanager
def environment(variables: dict[str, str | None]) -> Iterator[None]:
    """Set variables, or remove those that are None, for as long as the context lasts."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None]) -> None:
    """Set or remove variables."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
