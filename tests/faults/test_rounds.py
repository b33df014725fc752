"""Many rounds of small batches on one running platform, while operators intervene at random moments."""

import os
import random
import time
from collections import Counter
from contextlib import contextmanager, suppress

import dagster as dg
import pytest
import requests

from audit.audit import run_audit
from audit.findings import KINDS
from audit.sources import Ages, Depth, Sources
from cli.dagster_processes import dagster_process, free_port
from domain.errors import UnknownJobError
from domain.failures import ENDED_BY_PEOPLE
from domain.job.state import JobState
from engine.assets.runs import UNFINISHED
from operations.lifecycle import cancel, invalidate
from operations.platform import open_platform
from operations.requests import ANY_FAULT, rerun
from tests.faults import sizes
from tests.faults.child import LAB
from tests.lab_workspace import write_workspace
from tests.waiting import wait_for

ROUNDS = sizes.number("ROUNDS", full=200, small=8)
SEED = int(os.environ.get("SEED", "15"))
JOBS_OF_EACH = 3
LONGEST_S = 0.6
"""How long jobs take at most, so that runs are met in every step."""

TERMINATE = 'mutation { terminateRun(runId: "%s") { __typename } }'


@contextmanager
def dagster_over(stage):
    """Run Dagster's daemon, code server and web server over a stage; gives the address of the web server."""
    port = free_port(3000 + os.getpid() % 1000)
    words = ["-W", "ignore", "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    log, workspace = stage.folder / "dev.log", write_workspace(stage.folder, lab=LAB)
    with dagster_process(stage.settings, words, log=log, workspace=workspace):
        url = f"http://127.0.0.1:{port}/graphql"
        wait_for(lambda: has_loaded(url), "the web server does not answer", moving=log.stat)
        yield url


def has_loaded(url):
    """Return whether the web server answers, with its definitions loaded."""
    question = {"query": "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"}
    with suppress(requests.ConnectionError):
        found = requests.post(url, json=question, timeout=60).json()["data"]["workspaceOrError"]
        return [entry["loadStatus"] for entry in found["locationEntries"]] == ["LOADED"]
    return False


class Operators:
    """People who intervene at random.

    Parameters
    ----------
    stage : Stage
        The stage.
    platform : Platform
        The same stage, as commands see it.
    url : str
        Dagster's API.
    """

    def __init__(self, stage, platform, url) -> None:
        self.stage, self.platform, self.url = stage, platform, url
        self.rng, self.done = random.Random(SEED), Counter()  # noqa: S311  a seed repeats it
        self.verbs = [self.terminate, self.cancel, self.force, self.invalidate, self.rerun]

    def intervene(self):
        """Do the first thing, in random order, that changes something, and count it."""
        for verb in self.rng.sample(self.verbs, len(self.verbs)):
            with suppress(UnknownJobError):  # the job has no result, or is running: that is the answer to the operator
                if changed := verb():
                    self.done[verb.__name__] += changed
                    return

    def terminate(self):
        """Terminate a run through Dagster's API."""
        runs = [run for run in self.stage.instance.get_runs(limit=20) if run.status in UNFINISHED]
        if not runs:
            return 0
        body = {"query": TERMINATE % self.rng.choice(runs).run_id}
        answer = requests.post(self.url, json=body, timeout=60).json()
        return answer["data"]["terminateRun"]["__typename"] == "TerminateRunSuccess"

    def cancel(self):
        """Cancel jobs that wait or run."""
        keys = self._some(JobState.NEW) + self._some(JobState.RUNNING)
        return cancel(self.platform, self.stage.name, keys=keys, reason="wrong probe map") if keys else 0

    def force(self):
        """Compute results again."""
        keys = self._some(JobState.DONE)
        return len(rerun(self.platform, self.stage.name, keys=keys, force_reason="recalibrated")) if keys else 0

    def invalidate(self):
        """Declare results wrong."""
        keys = self._some(JobState.DONE)
        return len(invalidate(self.platform, self.stage.name, keys, reason="clock drift").results)

    def rerun(self):
        """Request again what has failed or was ended."""
        keys = self._some(JobState.FAILED)
        return len(rerun(self.platform, self.stage.name, keys=keys)) if keys else 0

    def _some(self, state):
        """Choose one or two of the jobs in a state."""
        keys = self.stage.ledger.jobs.keys_in(self.stage.name, state)
        return self.rng.sample(keys, min(len(keys), self.rng.randint(1, 2)))


def is_quiet(stage):
    """Return whether no job waits or runs, and no run is unfinished."""
    return stage.rests() and not stage.instance.get_runs(limit=50, filters=unfinished())


def unfinished():
    """Return the filter for runs that have not ended."""
    return dg.RunsFilter(statuses=UNFINISHED)


@pytest.mark.slow
def test_rounds_with_interventions_end_in_agreement(stage, monkeypatch, capsys):
    for name, value in stage.environment.items():
        monkeypatch.setenv(name, value)
    began = time.monotonic()
    with dagster_over(stage) as url, open_platform(stage.settings, folder=LAB) as platform:
        operators = Operators(stage, platform, url)
        for number in range(ROUNDS):
            first = number * JOBS_OF_EACH
            stage.ask(*range(first, first + JOBS_OF_EACH), seconds=operators.rng.uniform(0, LONGEST_S))
            for _ in range(2):
                time.sleep(operators.rng.uniform(0, 2.0))
                operators.intervene()
        wait_for(lambda: is_quiet(stage), "the platform does not come to rest", moving=stage.progress)
        rerun(platform, stage.name, failed=ANY_FAULT)
        wait_for(lambda: is_quiet(stage), "the platform does not come to rest again", moving=stage.progress)
    counts = stage.ledger.jobs.counts(stage.name)
    with capsys.disabled():
        done = ", ".join(f"{name} {n}" for name, n in sorted(operators.done.items()))
        states = ", ".join(f"{n} {state.value}" for state, n in counts.items() if n)
        print(  # noqa: T201  what the rounds did
            f"\n{ROUNDS} rounds in {time.monotonic() - began:.0f} s: {done}; {states}; {len(stage.marks())} executions"
        )
    assert sum(counts.values()) == ROUNDS * JOBS_OF_EACH
    assert counts[JobState.DONE] + counts[JobState.FAILED] == ROUNDS * JOBS_OF_EACH
    assert {entry.error.kind for entry in stage.ledger.jobs.failures(stage.name)} <= set(ENDED_BY_PEOPLE)
    assert audited(stage, platform) == []


def audited(stage, platform):
    """Return the findings of a deep audit, without notes."""
    ages = Ages(*[Ages().grace] * 3)
    sources = Sources.of({stage.name: stage.entry}, platform.connections, stage.instance, ages)
    found = run_audit(sources, Depth(content=True)).first
    return [one for one in found if KINDS[one.kind].severity != "note"]
