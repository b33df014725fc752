"""Builds the Dagster asset of an analysis.

A partition is one result, keyed by its job key; see
https://docs.dagster.io/guides/build/partitions-and-backfills. A run takes a range of partitions.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

import dagster as dg
from pydantic import Field

from domain.command import Command
from domain.job.identity import keys_digest
from engine.assets.checks import evaluations
from engine.assets.definition_metadata import asset_metadata
from engine.assets.materialization import (
    asset_key_of,
    failure_observation,
    inbox_key_of,
    materialization,
    metadata,
)
from engine.assets.run_failures import given_up, jobs_failed
from engine.assets.run_tags import RunTags
from engine.assets.runs import end_of_run
from engine.discovery.analyses import AnalysisEntry
from engine.execution.batch import BatchRun
from engine.execution.environment import Machine
from engine.execution.outcome import RESOURCE_KEYS, Outcome, RunFacts, Services
from engine.worker.pool import WorkerPool
from resources.dagster_storage.batch_events import Event, Reporter, report
from resources.dagster_storage.check_targets import targets_of_run
from resources.result_store.store import ResultsStore

KEYS_TAG = "analysis_assets/keys_sha256"


class LaunchConfig(dg.Config):
    """Options in the launchpad; the parameters of a partition cannot be changed there."""

    dry_run: bool = Field(
        default=False,
        description="Execute the jobs and write their records into the log of the run, but store nothing.",
    )
    force_reason: str = Field(
        default="",
        description="With a reason, jobs that have a result are computed again; empty: their result is used again.",
    )


def partitions_of(name: str) -> dg.DynamicPartitionsDefinition:
    """Return the partition set of an analysis."""
    return dg.DynamicPartitionsDefinition(name=name)


def pool_of(name: str) -> str:
    """Return the Dagster pool whose limit is the maximum number of concurrent runs of an analysis."""
    return name


def build_asset(
    entry: AnalysisEntry,
    *,
    machine: Machine,
    dry_run: bool = False,
    explorer_url: str | None = None,
    reporter: Reporter = report,
    pool: type[WorkerPool] = WorkerPool,
) -> dg.AssetsDefinition:
    """Return the asset of an analysis.

    Parameters
    ----------
    entry : AnalysisEntry
        Analysis to execute, with its code version.
    machine : Machine
        Work folder of runs, and what is recorded of their environment.
    dry_run : bool
        Runs compute without publishing (the setting ``DRY_RUN``).
    explorer_url : str, optional
        URL of the explorer, for a link to the analysis's table.
    reporter : callable
        Reports results, failures and verdicts of checks to Dagster.
    pool : type of WorkerPool
        Pool of the processes that execute user code.

    Returns
    -------
    dagster.AssetsDefinition
        Key ``["analysis", name]``, partition set and pool ``name``, one run for up to ``batch_size`` partitions.
    """
    with warnings.catch_warnings():  # batches use the backfill policy, which Dagster marks as beta
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _asset(
            entry,
            machine=machine,
            dry_run=dry_run,
            explorer_url=explorer_url,
            reporter=reporter,
            pool=pool,
        )


def _asset(
    entry: AnalysisEntry,
    *,
    machine: Machine,
    dry_run: bool,
    explorer_url: str | None,
    reporter: Reporter,
    pool: type[WorkerPool],
) -> dg.AssetsDefinition:
    """Return the asset; each of its runs is a `BatchRun`."""
    analysis = entry.analysis

    @dg.asset(
        key=asset_key_of(analysis.name),
        partitions_def=partitions_of(analysis.name),
        backfill_policy=dg.BackfillPolicy.multi_run(analysis.batch_size),
        code_version=entry.code_version,
        description=entry.description,
        metadata=asset_metadata(entry, explorer_url=explorer_url),
        deps=[inbox_key_of(analysis.name)],
        group_name=analysis.name,
        owners=list(analysis.owners),
        kinds={_kind(entry), "s3", "mongodb"},
        tags=analysis.tags,
        output_required=False,
        pool=pool_of(analysis.name),
        required_resource_keys=set(RESOURCE_KEYS.values()),
    )
    def compute(
        context: dg.AssetExecutionContext,
        config: LaunchConfig,
    ) -> Iterator[dg.Output[None]]:
        keys = _expected_keys(context)
        services = Services.of(context.resources, machine)
        by_hand = KEYS_TAG not in context.run.tags
        run = RunFacts(
            run_id=context.run.run_id,
            by_hand=by_hand,
            launched=_launched(context) if by_hand else None,
            dry_run=dry_run or config.dry_run,
            force_reason=config.force_reason,
        )
        tags = RunTags(context.instance, context.run)
        if tags.are_missing and not run.dry_run:
            tags.add_jobs(services.ledger.jobs.get_many(analysis.name, keys).values())
        failures = []
        ended_by_dagster = partial(end_of_run, context.instance, run.run_id)
        with BatchRun(entry, services, run, pool=pool, ended=ended_by_dagster) as batch:
            for ended in batch.outcomes(keys):
                _report(context, entry, ended, services.results, dry_run=run.dry_run, reporter=reporter)
                batch.settled(ended)
                if not run.dry_run:
                    tags.add_results(outcome.provenance for outcome in ended if outcome.provenance is not None)
                failures += [outcome for outcome in ended if outcome.error is not None]
        if batch.given_up is not None:
            raise given_up(batch.given_up)
        if failures and not run.dry_run:
            raise jobs_failed(entry.analysis.name, failures, len(keys), batch.stopped)
        yield from ()  # a generator only reports events: Dagster does not add a materialization

    return compute


def _kind(entry: AnalysisEntry) -> str:
    """Return the language of an analysis as a kind of Dagster."""
    run = entry.analysis.run
    return re.sub(r"[^a-z0-9_]", "", run.language.lower()) or "shell" if isinstance(run, Command) else "python"


def _launched(context: dg.AssetExecutionContext) -> datetime | None:
    """Return when the run was launched: it may have been queued for long."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return None if record is None else record.create_timestamp


def _expected_keys(context: dg.AssetExecutionContext) -> list[str]:
    """Return the partitions of the run; raise if they are not those that it was launched for.

    A range is resolved when the run executes, so added or deleted partitions may have changed its content.
    """
    keys = list(context.partition_keys)
    expected = context.run.tags.get(KEYS_TAG)
    if not keys:
        msg = "This run covers no partition: those that it was launched for were deleted. Launch it again for existing partitions."
        raise dg.Failure(description=msg, allow_retries=False)
    if expected is not None and expected != keys_digest(keys):
        msg = (
            f"This run was launched for other partitions than the {len(keys)} that its range means now, because "
            "partitions were added or deleted meanwhile. Nothing was executed; the sensor requests runs for new jobs again."
        )
        raise dg.Failure(description=msg, allow_retries=False)
    return keys


def _report(
    context: dg.AssetExecutionContext,
    entry: AnalysisEntry,
    outcomes: Sequence[Outcome],
    results: ResultsStore,
    *,
    dry_run: bool,
    reporter: Reporter,
) -> None:
    """Report the outcomes of jobs to Dagster."""
    for outcome in outcomes:
        _log_in_words(context, outcome, results)
    if dry_run:
        return
    reports = [found for outcome in outcomes if (found := _report_of(entry, outcome, results)) is not None]
    if reports:
        reporter(context, reports)
    _report_verdicts(context, entry, outcomes, reporter)


def _report_verdicts(
    context: dg.AssetExecutionContext, entry: AnalysisEntry, outcomes: Sequence[Outcome], reporter: Reporter
) -> None:
    """Report check evaluations after the materializations, because an evaluation names the materialization."""
    done = [(outcome.provenance, outcome.verdicts) for outcome in outcomes if outcome.provenance is not None]
    if not done:
        return
    name, run_id = entry.analysis.name, context.run.run_id
    targets = targets_of_run(context.instance, asset_key_of(name), [found.job_key for found, _ in done], run_id=run_id)
    said = [evaluations(entry, found, verdicts, target=targets.get(found.job_key)) for found, verdicts in done]
    reporter(context, [evaluation for of_one in said for evaluation in of_one])


def _report_of(entry: AnalysisEntry, outcome: Outcome, results: ResultsStore) -> Event | None:
    """Return the event of an outcome: a materialization for a result, an observation for a failure."""
    if outcome.error is not None:
        return failure_observation(entry.analysis.name, outcome.job_key, outcome.error)
    if outcome.provenance is None:
        return None
    return materialization(
        outcome.provenance,
        analysis=entry.analysis,
        results=results,
        figure=outcome.figure,
        reused=outcome.kind == "reused",
        attempts=outcome.attempts,
    )


def _log_in_words(context: dg.AssetExecutionContext, outcome: Outcome, results: ResultsStore) -> None:
    """Log failures and warnings; a successful job only has its materialization."""
    for note in outcome.notes:
        context.log.warning("%s: %s", outcome.job_key, note)
    error = outcome.error
    if error is not None:
        context.log.error("%s failed (%s): %s\n%s", outcome.job_key, error.kind, error.message, error.traceback)
    elif outcome.provenance is not None and outcome.kind == "dry_run":
        shown = metadata(outcome.provenance, results=results, figure=None, reused=False)
        context.log.info("%s: dry run, nothing stored. Record:\n%s", outcome.job_key, shown["provenance"].value)
