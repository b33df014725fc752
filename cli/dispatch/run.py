"""`analysis dispatch`: from a metadata query to job files, recorded in Dagster like a dispatch of the launchpad."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from dispatch.data_asset_files import Progress
from dispatch.model.options import DispatchOptions
from dispatch.model.report import DispatchPlan
from dispatch.planning import Planning
from dispatch.recording import materialization
from dispatch.saved import check_saved, saved_path
from dispatch.services import DispatchServices
from dispatch.writing import Written, write_plan
from domain.errors import DispatchError
from operations.platform import Platform, open_storage
from resources.dagster_storage.configuration import prepare_dagster_home
from resources.process import person


@dataclass(frozen=True)
class Dispatched:
    """The outcome of the command.

    Attributes
    ----------
    plan : DispatchPlan
        Jobs to write, and what is left out with reasons.
    written : Written or None
        The written files; None with ``--plan`` or ``DRY_RUN``.
    message : str
        One line for the terminal.
    """

    plan: DispatchPlan
    written: Written | None
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        written = self.written
        done = {"dispatch_id": written and written.dispatch_id, "folder": written and written.folder}
        return {**done, "written": written.files if written else 0, **self.plan.as_dict()}


def run_dispatch(
    platform: Platform, name: str, options: DispatchOptions, *, plan_only: bool, progress: Progress
) -> Dispatched:
    """Plan a dispatch, and write it unless only the plan is requested or ``DRY_RUN`` is set.

    Parameters
    ----------
    platform : Platform
        Inbox, ledger, records and metadata database.
    name : str
        Name of the analysis.
    options : DispatchOptions
        Which assets, with which parameters.
    plan_only : bool
        Return the plan without writing files; Dagster shows it as an observation.
    progress : callable
        Called with step, done and total.

    Raises
    ------
    PlatformError
        If an option is invalid, or an outside system does not answer.
    """
    services = DispatchServices.of(platform.connections)
    plan = Planning(platform.entry(name), options, services, progress).plan()
    if platform.settings.dry_run:
        return Dispatched(plan, None, "Nothing was written, because DRY_RUN is set.")
    if plan_only:
        return Dispatched(plan, None, "Nothing was written. Leave out --plan to write it.")
    with open_recording_dagster(
        platform
    ) as instance:  # opened first, because a dispatch that cannot be recorded must not be written
        written = write_plan(plan, services, progress=progress)
        instance.report_runless_asset_event(materialization(plan, written, who=f"{person()}, from the command line"))
    return Dispatched(plan, written, f"{written.files} job files were written to {written.folder}")


def save_dispatch(
    platform: Platform, analysis: str, options: DispatchOptions, *, name: str | None, cron: str | None
) -> Path:
    """Save the options and times of a dispatch as a file, which gets a schedule.

    Raises
    ------
    DispatchError
        If name or times are missing or invalid, a dispatch of this name exists, or ``DRY_RUN`` is set.
    """
    if not name or not cron:
        msg = "`--save` (a name) and `--cron` (times) go together."
        raise DispatchError(msg)
    if platform.settings.dry_run:
        msg = "Nothing was saved, because DRY_RUN is set."
        raise DispatchError(msg)
    path = saved_path(platform.settings.dispatches, name)
    given = options.model_dump(mode="json", exclude_defaults=True)
    document = {"analysis": analysis, "cron": cron, "options": given}
    check_saved(document, what=f"The dispatch {name}", analyses=platform.names)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(f"{json.dumps(document, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
    try:
        path.hardlink_to(temporary)  # atomically, and never over an existing file
    except FileExistsError:
        msg = f"A dispatch is saved as {path} already: remove it first, or choose another name."
        raise DispatchError(msg) from None
    finally:
        temporary.unlink()
    return path


def open_recording_dagster(platform: Platform) -> dg.DagsterInstance:
    """Open Dagster's storage; an existing configuration is not changed."""
    home = platform.settings.dagster_home
    if not (home / "dagster.yaml").is_file():
        prepare_dagster_home(platform.settings)
    return open_storage(platform.settings)
