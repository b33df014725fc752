"""Dagster's default run launcher, with a health check: a run whose process is gone is ended, for every Dagster job.

With the default launcher, the code server that started a process watches it. When both end together, as at a power
failure, the run stays *started* and occupies one of the few slots for runs. Dagster's run monitoring
(``run_monitoring`` in ``dagster.yaml``) asks the launcher for the health of each started run; this one implements the check.
"""

import json

import psutil
from dagster import DagsterInstance, DagsterRun, DefaultRunLauncher
from dagster._core.events import DagsterEventType
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation

from resources.process import host_name, process_token

HOST_TAG = ".dagster/analysis_assets_host"
"""Host on which a run's process was started; Dagster hides tags with this prefix."""

PROCESS_TAG = ".dagster/analysis_assets_process"
"""Process id and token of a run's process, from the first health check."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_TOLERANCE_S = 60.0
"""A process created this time (s) after the run's process reported its id is another one with the same id."""

_GONE = "The run's process (pid {pid}) on host {host} has ended without reporting the end of the run."


class WatchedRunLauncher(DefaultRunLauncher):
    """Launches runs as Dagster's default launcher does, and checks whether their processes on this host are alive.

    A run of another host counts as alive, because its process is not visible here.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        """Tag a run with the host of its process, and launch it.

        The tag comes first: Dagster stores all tags of a run in one value, and a process that reports its start at the same
        moment would write it back without the new tag.
        """
        if _server_host(context) in _LOCAL:
            self._instance.add_run_tags(context.dagster_run.run_id, {HOST_TAG: host_name()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring can check the health of runs."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether a run's process is alive, as far as this host can determine."""
        if run.tags.get(HOST_TAG) != host_name():
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its process is not on this host, or on an unknown one")
        pid = self._gone(run)
        if pid is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, _GONE.format(pid=pid, host=host_name()))

    def terminate(self, run_id: str) -> bool:
        """Terminate a run; one whose process is gone is canceled at once, because it cannot end itself."""
        run = self._instance.get_run_by_id(run_id) if self.has_instance else None
        if run is None or run.is_finished:
            return False
        health = self.check_run_worker_health(run)
        if health.status is WorkerStatus.FAILED:
            self._instance.report_run_canceled(run, message=f"{health.msg} It was terminated.")
            return True
        return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]

    def _gone(self, run: DagsterRun) -> int | None:
        """Return the id of a run's process if that process is gone; None if it is alive, or has not reported its id."""
        if PROCESS_TAG in run.tags:
            pid, token = json.loads(run.tags[PROCESS_TAG])
            return None if process_token(pid) == token else pid
        found = _reported_process(self._instance, run.run_id)
        if found is None:
            return None
        pid, reported = found
        token = process_token(pid)
        if token is None or _created(pid) > reported + _TOLERANCE_S:
            return pid
        self._instance.add_run_tags(run.run_id, {PROCESS_TAG: json.dumps([pid, token])})
        return None


def _server_host(context: LaunchRunContext) -> str | None:
    """Return the host of the code server that will start a run's process; None without a code server."""
    origin = context.dagster_run.remote_job_origin
    if context.workspace is None or origin is None:
        return None
    location = context.workspace.get_code_location(origin.repository_origin.code_location_origin.location_name)
    return location.client.host if isinstance(location, GrpcServerCodeLocation) else None


def _reported_process(instance: DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """Return the process id that a run reported at its start, and the time of the report (s since 1970)."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        if event is not None and (event.message or "").startswith("Started process for run"):
            pid = event.engine_event_data.metadata.get("pid")
            if pid is not None:
                return int(str(pid.value)), entry.timestamp
    return None


def _created(pid: int) -> float:
    """Return when a process was created (s since 1970); infinity if it has ended."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return float("inf")
