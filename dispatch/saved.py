"""Saved dispatches: files with options and times, each with its own schedule.

See https://docs.dagster.io/guides/automate/schedules. The times are read when the code location is
loaded, the options at each tick. An invalid file does not affect others: its schedule fails at every tick with the
reason.
"""

import logging
import re
from collections.abc import Callable, Collection
from hashlib import sha256
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dispatch.dispatch_job import NAME, SAVED_TAG, run_config
from dispatch.model.options import DispatchOptions, read_options
from domain.errors import DispatchError, JobFileError
from domain.json_values import MAX_BYTES, json_type, parse_json
from domain.messages import joined
from resources.small_file import read_small_file

_NAME = re.compile(r"[A-Za-z0-9_\-]{1,60}")
_SCHEDULE_NAME = re.compile(r"[A-Za-z0-9_]{1,60}")
_BROKEN_CRON = "0 * * * *"

_log = logging.getLogger(__name__)


class SavedDispatch(BaseModel):
    """The content of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    analysis: str = Field(description="Name of the analysis.")
    cron: str = Field(description="When: five fields of cron, such as `30 2 * * *`.")
    timezone: str = Field(default="UTC", description="Where these times are meant, such as `America/Los_Angeles`.")
    options: dict[str, Any] = Field(description="Options of the dispatch.")

    def dispatch_options(self) -> DispatchOptions:
        """Return the validated options."""
        return read_options(self.options)


def saved_path(folder: Path, name: str) -> Path:
    """Return the file of a saved dispatch.

    Parameters
    ----------
    folder : Path
        Folder of saved dispatches.
    name : str
        Name of the dispatch, and of its schedule.

    Raises
    ------
    DispatchError
        If the name cannot be used for a file and a schedule.
    """
    if not _NAME.fullmatch(name):
        msg = f"Not a name for a dispatch: {name!r}. Expected up to 60 letters, digits, `_` or `-`."
        raise DispatchError(msg)
    return folder / f"{name}.json"


def read_saved(path: Path, *, analyses: Collection[str]) -> SavedDispatch:
    """Read one saved dispatch.

    Parameters
    ----------
    path : Path
        JSON file with options and times.
    analyses : collection of str
        Names of all analyses; other names are rejected.

    Raises
    ------
    DispatchError
        If it is invalid; the message names the file and all errors.
    """
    what = f"The saved dispatch {path}"
    return check_saved(_document(path, what), what=what, analyses=analyses)


def check_saved(document: dict[str, Any], *, what: str, analyses: Collection[str]) -> SavedDispatch:
    """Validate the content of a saved dispatch.

    Parameters
    ----------
    document : dict
        The content of its file.
    what : str
        Its name in messages.
    analyses : collection of str
        Names of all analyses; other names are rejected.

    Raises
    ------
    DispatchError
        If it is invalid; the message names all errors.
    """
    try:
        saved = SavedDispatch.model_validate(document)
        saved.dispatch_options()
    except ValidationError as error:
        errors = joined([f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors(include_url=False)])
        msg = f"{what} cannot be used: {errors}."
        raise DispatchError(msg) from None
    except DispatchError as error:
        msg = f"{what}: {error}"
        raise DispatchError(msg) from None
    if saved.analysis not in analyses:
        msg = f"{what}: there is no analysis `{saved.analysis}`. The analyses are: {', '.join(sorted(analyses))}."
        raise DispatchError(msg)
    try:  # Dagster has no other public way to validate times
        dg.ScheduleDefinition(name=NAME, job_name=NAME, cron_schedule=saved.cron, execution_timezone=saved.timezone)
    except dg.DagsterInvalidDefinitionError as error:
        msg = f"{what}: its times cannot be used: {str(error).rstrip('.')}. Expected such as `30 2 * * *`, every day at 2:30."
        raise DispatchError(msg) from None
    return saved


def build_schedules(
    folder: Path, job: dg.JobDefinition, *, analyses: Collection[str], dry_run: bool = False
) -> list[dg.ScheduleDefinition]:
    """Return a schedule for each saved dispatch of a folder.

    Parameters
    ----------
    folder : Path
        Folder of saved dispatches; it need not exist.
    job : dagster.JobDefinition
        The job ``dispatch``, which the schedules launch.
    analyses : collection of str
        Names of all analyses; other names are rejected.
    dry_run : bool
        Ticks request no runs (the setting ``DRY_RUN``).

    Returns
    -------
    list of dagster.ScheduleDefinition
        On by default; the schedule of an invalid file fails at every tick.
    """
    return [_schedule(path, job, analyses, dry_run=dry_run) for path in sorted(folder.glob("*.json"))]


def _document(path: Path, what: str) -> dict[str, Any]:
    """Read a file's JSON object."""
    try:
        document = parse_json(read_small_file(path, limit=MAX_BYTES), what=what)
    except OSError as error:
        msg = f"{what} cannot be read: {error.strerror}."
        raise DispatchError(msg) from error
    except JobFileError as error:
        raise DispatchError(str(error)) from None
    if not isinstance(document, dict):
        msg = f"{what} holds {json_type(document)}, expected one JSON object."
        raise DispatchError(msg)
    return document


def _schedule(path: Path, job: dg.JobDefinition, analyses: Collection[str], *, dry_run: bool) -> dg.ScheduleDefinition:
    """Return the schedule of a file; that of an invalid file fails at every tick."""
    tick = _tick(path, analyses, dry_run=dry_run)
    try:
        saved = read_saved(path, analyses=analyses)
        description = f"Saved dispatch of {saved.analysis}: {path}"
        return _defined(path, job, tick, cron=saved.cron, timezone=saved.timezone, description=description)
    except DispatchError as error:
        reason = str(error)
    _log.error("%s It is not dispatched until it is fixed and the code location is reloaded.", reason)
    return _defined(path, job, _failing(reason), cron=_BROKEN_CRON, timezone="UTC", description=f"BROKEN. {reason}")


Tick = Callable[[dg.ScheduleEvaluationContext], dg.RunRequest | dg.SkipReason]


def _defined(
    path: Path, job: dg.JobDefinition, tick: Tick, *, cron: str, timezone: str, description: str
) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=_schedule_name(path),
        job=job,
        cron_schedule=cron,
        execution_timezone=timezone,
        execution_fn=tick,
        description=description,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def _tick(path: Path, analyses: Collection[str], *, dry_run: bool) -> Tick:
    """Return the tick function of a saved dispatch, which reads the file again and requests a run."""

    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Request one run per scheduled time."""
        saved = read_saved(path, analyses=analyses)
        if dry_run:
            return dg.SkipReason("DRY_RUN is set: nothing was done.")
        return dg.RunRequest(
            run_key=context.scheduled_execution_time.isoformat(),
            run_config=run_config(saved.analysis, saved.dispatch_options()),
            tags={SAVED_TAG: path.stem},
        )

    return tick


def _failing(reason: str) -> Tick:
    """Return the tick function of an invalid file."""

    def tick(_: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Fail with the reason."""
        raise DispatchError(reason)

    return tick


def _schedule_name(path: Path) -> str:
    """Return the name of a file's schedule; a name that is invalid in Dagster or ambiguous gets a digest."""
    if _SCHEDULE_NAME.fullmatch(path.stem):
        return f"{NAME}_{path.stem}"
    readable = re.sub(r"[^A-Za-z0-9]+", "_", path.stem)[:40]
    return f"{NAME}_{readable}_{sha256(path.stem.encode(errors='surrogateescape')).hexdigest()[:8]}"
