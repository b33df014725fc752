"""A platform with Dagster's UI and jobs of every kind, for tests in a real browser."""

import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import dagster as dg
import requests

from commands.dagster_processes import dagster_process, free_port
from commands.platform import Platform, open_platform
from domain.failures import JobError
from domain.job import Job
from domain.job_state import JobState
from domain.stored_job import Source, take_in
from resources.settings import load_settings
from tests.lab_workspace import LAB, write_workspace

_PATIENCE_S = 120


@dataclass(frozen=True)
class Stage:
    """What the tests play on.

    Attributes
    ----------
    url : str
        Address of the UI.
    platform : Platform
        The project's analyses.
    lab : Platform
        The analyses for tests, over the same stores.
    """

    url: str
    platform: Platform
    lab: Platform

    def instance(self):
        """Open Dagster's storage."""
        return dg.DagsterInstance.from_config(str(self.platform.settings.dagster_home))

    def submit(self, name, document):
        """Put a job file into the inbox; gives the job's key."""
        platform = self.lab if (LAB / f"{name}.py").exists() else self.platform
        job = Job(**{k: tuple(v) if isinstance(v, list) else v for k, v in document.items()})
        stored, _ = take_in(platform.entry(name).analysis, job, name="test", fixed={})
        platform.connections.job_inbox.write(name, f"{stored.job_key[:12]}.json", json.dumps(document).encode())
        return stored.job_key

    def wait_for_a_person(self, name, document):
        """Store a job that no sensor launches: it failed before it was executed, and a person has to ask again."""
        entry, ledger = self.lab.entry(name), self.lab.connections.ledger
        stored, _ = take_in(entry.analysis, Job(**document), name="test", fixed={})
        ledger.store([(stored, Source(name="test"))], code_version=entry.code_version)
        error = JobError(kind="lost", message="waits for a person", permanent=False)
        told = {"code_version": entry.code_version, "error": error.model_dump()}
        ledger.settle(ledger.get(name, stored.job_key), state=JobState.FAILED, **told)
        with self.instance() as instance:
            instance.add_dynamic_partitions(name, [stored.job_key])
        return stored.job_key

    def job(self, name, key):
        """Read a job's entry."""
        return self.platform.connections.ledger.get(name, key)


@contextmanager
def on_stage(folder):
    """Run servers, daemon and UI over the project's analyses and those for tests.

    ``ANALYSIS_HOME`` names the folder of the servers.
    """
    settings = load_settings(env_file=folder / "no.env")
    workspace = write_workspace(folder, with_project=True)
    port = free_port(3000 + os.getpid() % 1000)
    words = ["-W", "ignore", "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    with (
        open_platform(settings) as platform,
        open_platform(settings, folder=LAB) as lab,
        dagster_process(settings, words, log=folder / "dev.log", workspace=workspace),
    ):
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url)
        yield Stage(url, platform, lab)


def _wait_until_it_answers(url):
    """Wait until the UI answers, with its definitions loaded."""
    question = {"query": "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"}
    for _ in range(_PATIENCE_S):
        with suppress(requests.ConnectionError):
            found = requests.post(f"{url}/graphql", json=question, timeout=10).json()["data"]["workspaceOrError"]
            if [entry["loadStatus"] for entry in found["locationEntries"]] == ["LOADED", "LOADED"]:
                return
        time.sleep(1)
    message = f"{url} did not answer"
    raise TimeoutError(message)
