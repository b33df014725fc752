"""Dagster's default run launcher, with a health check: a run whose process is gone ends, whatever Dagster job it is of.

The default launcher leaves the watching to the code server that started the process. When both end together, as when a
machine is switched off, the run stays *started* for ever and holds one of the few places for runs. Dagster's run monitoring
(``run_monitoring`` in ``dagster.yaml``) asks the launcher for the health of each started run; this one can answer.
"""

import json

import psutil
from dagster import DagsterInstance, DagsterRun, DefaultRunLauncher
from dagster._core.events import DagsterEventType
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from resources.process import host_name, process_token

HOST_TAG = ".dagster/analysis_assets_host"
"""Host on which a run's process was started; Dagster hides tags with this prefix."""

PROCESS_TAG = ".dagster/analysis_assets_process"
"""Process id and token of a run's process, as the first health check found it."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_TOLERANCE_S = 60.0
"""A process that was created so long after the run's process reported its id has only got the same id (s)."""

_GONE = "The run's process (pid {pid}) on host {host} has ended without reporting the end of the run."


class WatchedRunLauncher(DefaultRunLauncher):
    """Launches runs as Dagster's default launcher does, and knows whether their processes on this host are alive.

    A run of another host is never judged by this host's processes: it counts as alive.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run, and note on which host its process is."""
        super().launch_run(context)
        run_id = context.dagster_run.run_id
        run = self._instance.get_run_by_id(run_id)
        if run is not None and _server_host(run) in _LOCAL:
            self._instance.add_run_tags(run_id, {HOST_TAG: host_name()})

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring may ask for the health of runs."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether a run's process is alive, as far as this host can know."""
        if run.tags.get(HOST_TAG) != host_name():
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its process is not on this host, or on an unknown one")
        pid = self._gone(run)
        if pid is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, _GONE.format(pid=pid, host=host_name()))

    def terminate(self, run_id: str) -> bool:
        """Terminate a run; one whose process is gone is canceled at once, because nobody is left to be asked."""
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


def _server_host(run: DagsterRun) -> str | None:
    """Return the host of the code server that started a run's process."""
    found: str | None = json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("host")
    return found


def _reported_process(instance: DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """Return the id that a run's process reported when it began, and when that was."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        if event is not None and (event.message or "").startswith("Started process for run"):
            pid = event.engine_event_data.metadata.get("pid")
            if pid is not None:
                return int(str(pid.value)), entry.timestamp
    return None


def _created(pid: int) -> float:
    """Return when a process was created (s since 1970); one that is gone was never."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return float("inf")
