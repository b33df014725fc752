"""Limits of single analyses: Dagster's own queue over real definitions and the platform's configuration."""

import os
import subprocess
import sys
from contextlib import ExitStack

import dagster as dg
import pytest
from dagster._core.instance.config import PoolGranularity
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from definitions import build_defs
from engine.assets.factory import pool_of
from engine.assets.runs import job_name_of
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.settings import PROJECT_ROOT, Settings
from tests.lab_workspace import DEFINITIONS, LAB

LAUNCHER = """
run_launcher:
  module: dagster._core.test_utils
  class: MockedRunLauncher
"""
KEY = "0" * 64


class Queue:
    """Dagster's queue of runs; a run that leaves it is marked as starting, and nothing is executed."""

    def __init__(self, workspace, defs):
        self.workspace, self.instance, self.defs = workspace, workspace.instance, defs
        self.daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)

    def submit(self, name):
        """Submit a run of an analysis; returns its id."""
        requests = self.workspace.create_request_context()
        (location,) = requests.code_locations
        (repository,) = location.get_repositories().values()
        origin = repository.get_full_job(job_name_of(name)).get_remote_origin()
        run = self.instance.create_run_for_job(
            self.defs.resolve_job_def(job_name_of(name)),
            tags={"dagster/partition": KEY},
            remote_job_origin=origin,
            job_code_origin=repository.get_full_job(job_name_of(name)).get_python_origin(),
        )
        return self.instance.submit_run(run.run_id, requests).run_id

    def launched(self):
        """Let the daemon look at the queue once; returns the runs that have left it and have not ended, by analysis."""
        list(self.daemon.run_iteration(self.workspace))
        starting = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING]))
        return sorted(run.job_name.removesuffix("_batch") for run in starting)

    def queued(self):
        """Return the runs that wait, by analysis."""
        waiting = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
        return sorted(run.job_name.removesuffix("_batch") for run in waiting)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Give settings with a new folder, which the definitions read too."""
    monkeypatch.setenv("ANALYSIS_HOME", str(tmp_path / "home"))
    return Settings(analysis_home=tmp_path / "home")


@pytest.fixture
def open_queue(settings, tmp_path):
    """Give a function that opens the queue of the platform's configuration, with a maximum of runs."""
    file = tmp_path / "lab_definitions.py"
    file.write_text(DEFINITIONS.format(folder=str(LAB)), encoding="utf-8")
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(python_file=str(file), working_directory=str(PROJECT_ROOT), executable_path=sys.executable)
    )
    with ExitStack() as opened:

        def open_queue(maximum=2):
            home = prepare_dagster_home(settings)
            configuration = (home / "dagster.yaml").read_text(encoding="utf-8")
            assert "max_concurrent_runs: 2" in configuration
            changed = configuration.replace("max_concurrent_runs: 2", f"max_concurrent_runs: {maximum}") + LAUNCHER
            (home / "dagster.yaml").write_text(changed, encoding="utf-8")
            instance = opened.enter_context(dg.DagsterInstance.from_config(str(home)))
            for name in ("double", "misbehave"):
                instance.add_dynamic_partitions(name, [KEY])
            workspace = WorkspaceProcessContext(instance, InProcessTestWorkspaceLoadTarget(origin))
            queue = Queue(opened.enter_context(workspace), build_defs(settings, folder=LAB))
            opened.enter_context(queue.daemon)
            return queue

        yield open_queue


def limit(settings, name, number):
    """Limit an analysis as an operator does, with Dagster's own command."""
    words = ["instance", "concurrency", "set", pool_of(name), str(number)]
    environment = {**os.environ, "DAGSTER_HOME": str(settings.dagster_home)}
    subprocess.run([sys.executable, "-m", "dagster", *words], env=environment, cwd=PROJECT_ROOT, check=True)


def test_pools_limit_runs_and_have_no_limit_by_default(open_queue):
    found = open_queue().instance.get_concurrency_config().pool_config
    assert (found.pool_granularity, found.default_pool_limit) == (PoolGranularity.RUN, None)


def test_each_analysis_has_a_pool_of_its_own(settings):
    defs = build_defs(settings, folder=LAB)
    pools = {name: defs.get_assets_def(dg.AssetKey(["analysis", name])).op.pool for name in ("double", "misbehave")}
    assert pools == {"double": "double", "misbehave": "misbehave"}


@pytest.mark.parametrize("maximum", [2, 4])
def test_an_analysis_without_a_limit_takes_as_many_runs_as_the_platform_permits(open_queue, maximum):
    queue = open_queue(maximum)
    for _ in range(5):
        queue.submit("double")
    assert queue.launched() == ["double"] * maximum
    assert queue.queued() == ["double"] * (5 - maximum)


def test_the_second_run_of_a_limited_analysis_waits_while_another_analysis_starts(open_queue, settings):
    queue = open_queue(4)
    limit(settings, "double", 1)
    first = queue.submit("double")
    for name in ("double", "misbehave", "misbehave"):
        queue.submit(name)
    for _ in range(2):
        assert queue.launched() == ["double", "misbehave", "misbehave"]
        assert queue.queued() == ["double"]
    queue.instance.report_run_failed(queue.instance.get_run_by_id(first))
    assert queue.launched() == ["double", "misbehave", "misbehave"]
    assert queue.queued() == []


def test_a_limit_of_zero_holds_back_the_runs_of_an_analysis_until_it_is_raised(open_queue, settings):
    queue = open_queue()
    limit(settings, "double", 0)
    queue.submit("double")
    queue.submit("misbehave")
    assert queue.launched() == ["misbehave"]
    limit(settings, "double", 1)
    assert queue.launched() == ["double", "misbehave"]


def test_a_run_that_is_not_of_an_analysis_needs_no_pool(settings):
    repository = build_defs(settings, folder=LAB).get_repository_def()
    for name in ("audit", "catalog", "dispatch"):
        assert not [node for node in repository.get_job(name).nodes if node.definition.pool]
