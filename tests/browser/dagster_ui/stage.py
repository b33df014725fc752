"""A platform with Dagster's UI and jobs of every kind, for tests in a real browser."""

import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import dagster as dg
import pytest
import requests

from cli.dagster_processes import dagster_process, free_port
from domain.failures import JobError
from domain.job.job_file import Job
from domain.job.state import JobState
from domain.job.stored import Source, ingest
from operations.platform import Platform, open_platform
from resources.ledger.documents import RESET
from resources.ledger.sources import writes_of
from resources.settings import load_settings
from tests.lab_workspace import LAB, write_workspace
from tests.unmeasured import unmeasured
from tests.waiting import progress_of, wait_for


@dataclass(frozen=True)
class Stage:
    """What the tests play on.

    Attributes
    ----------
    url : str
        Address of the UI.
    platform : Platform
        Platform with the project's analyses.
    lab : Platform
        The analyses for tests, over the same stores.
    instance : dagster.DagsterInstance
        Dagster instance that the UI shows.
    """

    url: str
    platform: Platform
    lab: Platform
    instance: dg.DagsterInstance

    def wait_for(self, condition, what):
        """Wait until a condition gives something, as long as jobs or runs move."""
        platform = self.platform
        names = [*platform.names, *self.lab.names]
        return wait_for(
            condition,
            what,
            moving=lambda: progress_of(platform.connections, names, platform.settings.dagster_home),
            every_s=0.3,
        )

    def submit(self, name, document):
        """Put a job file into the inbox; gives the job's key."""
        platform = self.lab if (LAB / f"{name}.py").exists() else self.platform
        job = Job(**{k: tuple(v) if isinstance(v, list) else v for k, v in document.items()})
        stored, _ = ingest(platform.entry(name).analysis, job, name="test", fixed={})
        platform.connections.job_inbox.write(name, f"{stored.job_key[:12]}.json", json.dumps(document).encode())
        return stored.job_key

    def wait_for_a_person(self, name, document):
        """Store a job that no sensor launches: it failed before its execution, and a user has to request it again.

        One write stores it as failed; a sensor's tick between two writes would request a run for it.
        """
        entry, ledger = self.lab.entry(name), self.lab.connections.ledger
        stored, _ = ingest(entry.analysis, Job(**document), name="test", fixed={})
        error = JobError(kind="lost", message="waits for a person", permanent=False)
        fields = {
            **RESET,
            "state": JobState.FAILED.value,
            "code_version": entry.code_version,
            "error": error.model_dump(),
            "created": ledger.requests.now(),
        }
        ledger.requests.documents.bulk_write(writes_of(stored, Source(name="test"), fields))
        self.instance.add_dynamic_partitions(name, [stored.job_key])
        return stored.job_key

    def job(self, name, key):
        """Read a job's entry."""
        return self.platform.connections.ledger.jobs.get(name, key)


@contextmanager
def on_stage(folder):
    """Run servers, daemon and UI over the project's analyses and those for tests.

    Parameters
    ----------
    folder : Path
        For everything that they keep.
    """
    workspace = write_workspace(folder, with_project=True)
    port = free_port(3000 + os.getpid() % 1000)
    words = ["-W", "ignore", "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ANALYSIS_HOME", str(folder / "home"))
            unmeasured(patch)
            settings = load_settings(env_file=folder / "no.env")
            platform = stack.enter_context(open_platform(settings))
            lab = stack.enter_context(open_platform(settings, folder=LAB))
            stack.enter_context(dagster_process(settings, words, log=folder / "dev.log", workspace=workspace))
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url), "the UI does not answer", moving=(folder / "dev.log").stat)
        # Opened only now: two processes that make the tables of a new storage at once disturb each other.
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(settings.dagster_home)))
        yield Stage(url, platform, lab, instance)


def answers(url):
    """Return whether the UI answers, with its definitions loaded."""
    question = {"query": "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"}
    with suppress(requests.ConnectionError):
        found = requests.post(f"{url}/graphql", json=question, timeout=60).json()["data"]["workspaceOrError"]
        return [entry["loadStatus"] for entry in found["locationEntries"]] == ["LOADED", "LOADED"]
    return False
