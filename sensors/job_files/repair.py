"""Repairs the states of jobs after interruptions, and marks jobs done whose result exists; every tick does both."""

from typing import Any

import dagster as dg

from domain.errors import PermanentError
from domain.job.identity import result_id
from domain.job.state import JobState, LedgerEntry
from domain.result.provenance import Provenance
from domain.result.records import readable
from engine.assets.builtin_checks import after_listing
from engine.assets.checks import judge_reused
from engine.assets.materialization import materialization
from engine.assets.runs import has_ended
from engine.discovery.analyses import AnalysisEntry
from engine.execution.publish import differences, stored_figure
from resources.result_store.store import ResultsStore
from sensors.job_files.lost_runs import end_lost_runs
from sensors.job_files.stores import Stores
from sensors.job_files.terminated_runs import cancel_terminated
from sensors.limits import LIMITS, TickLimits


def repair(instance: dg.DagsterInstance, entry: AnalysisEntry, stores: Stores, *, limits: TickLimits = LIMITS) -> None:
    """Release jobs whose run is gone, cancel those of terminated runs, and requeue those that are due."""
    name = entry.analysis.name
    dead = [run_id for run_id in stores.ledger.claims.run_ids(name) if has_ended(instance, run_id)]
    stores.ledger.claims.release_lost(name, dead_runs=dead)
    cancel_terminated(instance, name, stores.ledger, code_version=entry.code_version)
    stores.ledger.requests.requeue_due(name)
    stores.ledger.requests.requeue_for_code(name, code_version=entry.code_version)
    stores.ledger.requests.requeue_unreported(name)
    end_lost_runs(instance, entry, stores.ledger, grace_s=limits.grace_s)
    reuse_existing(instance, entry, stores, limits=limits)


def reuse_existing(
    instance: dg.DagsterInstance, entry: AnalysisEntry, stores: Stores, *, limits: TickLimits = LIMITS
) -> int:
    """Mark new jobs done whose result already exists; return their number.

    A result that cannot be reused is left to a run, which reports why and computes it again. The reuse is reported to
    Dagster first: after an interruption the next tick reuses it again.
    """
    name, version = entry.analysis.name, entry.code_version
    without_answer = {"fenced": True, "usable_attempts": []}  # forced or invalidated, and not executed since
    keys = stores.ledger.jobs.keys_in(name, JobState.NEW, match={"$nor": [without_answer]}, limit=limits.jobs)
    by_result = {result_id(name, version, key): key for key in keys}
    found = sorted(stores.records.existing(by_result))[: limits.reused] if by_result else []
    entries = stores.ledger.jobs.get_many(name, [by_result[r] for r in found]) if found else {}
    reused = 0
    for result, record in stores.records.get_many(found).items() if found else ():
        key = by_result[result]
        reusable = _reusable(record, entries[key], stores.results) if key in entries else None
        if reusable is None:
            continue
        provenance, figure = reusable
        instance.add_dynamic_partitions(name, [provenance.job_key])
        instance.report_runless_asset_event(
            materialization(provenance, analysis=entry.analysis, results=stores.results, figure=figure, reused=True)
        )
        judge_reused(instance, entry, provenance, after_listing(record, provenance))
        if not stores.ledger.claims.mark_unclaimed(
            entries[key], state=JobState.DONE, code_version=version, result_id=result, error=None
        ):
            stores.ledger.requests.report_again(name, key)
        reused += 1
    return reused


def _reusable(
    record: dict[str, Any], job: LedgerEntry, results: ResultsStore
) -> tuple[Provenance, bytes | None] | None:
    """Return a stored result and its figure; None if record or files differ from what was published or requested.

    A record that is damaged, belongs to another job, or names a missing bucket must not block the other jobs.
    """
    provenance = readable(record)
    if provenance is None or provenance.job_key != job.job_key or not job.may_use(provenance.attempt):
        return None
    try:
        changed = differences(results, provenance)
        return None if changed else (provenance, stored_figure(results, provenance))
    except PermanentError:
        return None
