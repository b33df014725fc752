"""The Dagster job ``dispatch``: the launchpad shows every option, and a run plans or writes.

A job with one op, not a run of assets, because one job serves every analysis: assets that are not dispatched would be
shown as failed or skipped. The outcome is reported on the asset ``["dispatch", <analysis>]``. See
https://docs.dagster.io/guides/build/ops and https://docs.dagster.io/guides/operate/configuration/run-configuration.
"""

import time
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from dispatch.data_asset_files import Progress
from dispatch.model.options import DispatchOptions, read_options
from dispatch.planning import Planning
from dispatch.recording import materialization, observation, text_table
from dispatch.services import SERVICES, DispatchServices
from dispatch.writing import write_plan
from domain.errors import DispatchError, PlatformError
from domain.retry import is_transient
from engine.assets.runs import limited
from engine.discovery.analyses import AnalysisEntry
from resources.process import person

NAME = "dispatch"
OP_NAME = "find_and_write"
"""Dagster requires different names for an op and its job."""
SAVED_TAG = "analysis_assets/saved_dispatch"
_SCHEDULE_TAG = "dagster/schedule_name"
_LOG_EVERY_S = 10.0


class DispatchConfig(DispatchOptions, dg.Config):
    """Run config: the analysis, the options of the dispatch, and whether to write files."""

    analysis: str = Field(description="Name of the analysis that is to be run.")
    plan_only: bool = Field(
        default=True, description="Only show what would be written, and why the rest would not. Set to false to write."
    )


def build_dispatch_job(entries: Mapping[str, AnalysisEntry], *, dry_run: bool = False) -> dg.JobDefinition:
    """Return the job ``dispatch``.

    Parameters
    ----------
    entries : mapping of str to AnalysisEntry
        Analyses that can be dispatched, by name.
    dry_run : bool
        Runs only plan (the setting ``DRY_RUN``).
    """

    @dg.op(
        name=OP_NAME,
        description="Finds data assets and writes job files for them, or shows what it would write.",
        required_resource_keys=set(SERVICES),
    )
    def find_and_write(context: dg.OpExecutionContext, config: DispatchConfig) -> None:
        services = DispatchServices.of(context.resources)
        try:
            _dispatch(context, config, _entry(entries, config.analysis), services, dry_run=dry_run)
        except PlatformError as error:
            raise dg.Failure(description=str(error), allow_retries=is_transient(error)) from error

    @dg.job(
        name=NAME,
        tags=limited(hours=24),
        description="Writes job files from a query of the metadata database. In the *Launchpad* fill in `analysis` and one of "
        "`query`, `asset_csv`, `asset_ids` or `records`. A launch only shows the plan; with `plan_only: false` it writes "
        "the files. The sensor of the analysis does the rest.",
    )
    def dispatch_job() -> None:
        find_and_write()

    return dispatch_job


def run_config(analysis: str, options: DispatchOptions) -> dict[str, Any]:
    """Return the run config of a dispatch that writes."""
    given = options.model_dump(mode="json", exclude_defaults=True)
    return {"ops": {OP_NAME: {"config": {"analysis": analysis, "plan_only": False, **given}}}}


def _dispatch(
    context: dg.OpExecutionContext,
    config: DispatchConfig,
    entry: AnalysisEntry,
    services: DispatchServices,
    *,
    dry_run: bool,
) -> None:
    """Plan, log the plan, and write it unless only the plan is requested."""
    options = read_options({name: getattr(config, name) for name in DispatchOptions.model_fields})
    progress = _logging_progress(context)
    plan = Planning(entry, options, services, progress).plan()
    context.log.info("%s", text_table(plan))
    for warning in plan.warnings:
        context.log.warning("%s", warning)
    if config.plan_only or dry_run:
        why = "DRY_RUN is set" if dry_run else "plan_only is true"
        context.log_event(observation(plan))
        context.log.info("Nothing was written, because %s.", why)
        return
    written = write_plan(plan, services, progress=progress)
    schedule = context.run.tags.get(_SCHEDULE_TAG)
    who = f"schedule {schedule}" if schedule else f"{person()}, from the launchpad"
    context.log_event(materialization(plan, written, who=who))
    context.log.info("%d job files were written to %s.", written.files, written.folder)


def _entry(entries: Mapping[str, AnalysisEntry], name: str) -> AnalysisEntry:
    if name not in entries:
        msg = f"There is no analysis `{name}`. The analyses are: {', '.join(sorted(entries))}."
        raise DispatchError(msg)
    return entries[name]


def _logging_progress(context: dg.OpExecutionContext) -> Progress:
    """Return a progress callback that logs every few seconds and at the end of a step."""
    last: dict[str, float] = {}

    def progress(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - last.setdefault(what, now) > _LOG_EVERY_S:
            last[what] = now
            context.log.info("%s: %d of %d", what, done, total)

    return progress
