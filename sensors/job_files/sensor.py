"""One sensor per analysis: new job files become jobs, partitions and batched runs.

See https://docs.dagster.io/guides/automate/sensors. The ledger is authoritative: a tick ingests files, repairs
states, and requests runs of new jobs that no run covers. No tick depends on an earlier one, so a tick can be interrupted
anywhere. The cursor holds a digest of the rejected files that were last reported, and the position of the listing in S3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from domain.errors import PermanentError
from domain.job.batches import covered, ranges, run_key
from domain.job.identity import keys_digest, result_id
from domain.job.run_tags import found_in_job, tags_of
from domain.job.state import JobState, LedgerEntry
from domain.messages import counted, shown
from domain.result.provenance import Provenance
from domain.result.records import readable
from engine.assets.builtin_checks import after_listing
from engine.assets.checks import judge_reused
from engine.assets.factory import KEYS_TAG
from engine.assets.materialization import asset_key_of, materialization
from engine.assets.runs import RANGE_END, RANGE_START, has_ended, job_name_of, unfinished_spans
from engine.discovery.analyses import AnalysisEntry
from engine.execution.publish import differences, stored_figure
from resources.inbox.job_inbox import JobInbox
from resources.inbox.notes import InboxNotes
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from sensors.job_files.breakers import let_through
from sensors.job_files.cursor import Memory
from sensors.job_files.intake import Intake, IntakeResult
from sensors.job_files.listing import Plan, list_some, refused_to_read
from sensors.job_files.lost_runs import end_lost_runs
from sensors.job_files.rejected import bad_file_events
from sensors.job_files.terminated_runs import cancel_terminated
from sensors.limits import LIMITS, TickLimits

MIN_INTERVAL_S = 5


@dataclass(frozen=True)
class Stores:
    """The external systems that a sensor uses; see ``resources/``."""

    inbox: JobInbox
    notes: InboxNotes
    ledger: Ledger
    records: RecordStore
    results: ResultsStore


def build_sensor(
    entry: AnalysisEntry,
    *,
    dry_run: bool = False,
    listing_s: float = 0.0,
    limits: TickLimits = LIMITS,
) -> dg.SensorDefinition:
    """Build the sensor of one analysis.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis, with its current code version.
    dry_run : bool
        Only report what a tick would do (the setting ``DRY_RUN``).
    listing_s : float
        Interval between full listings of the inbox (s), where a queue reports new files in between.
    limits : TickLimits
        Bounds of one tick.
    """
    name = entry.analysis.name
    selection = dg.AssetSelection.assets(asset_key_of(name)).without_checks()

    @dg.sensor(
        name=f"{name}_job_files",
        job=dg.define_asset_job(job_name_of(name), selection=selection),
        minimum_interval_seconds=MIN_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Ingests job files for {name} and requests runs for new jobs. While it is off, jobs wait.",
    )
    def job_files(
        context: dg.SensorEvaluationContext,
        job_inbox: JobInbox,
        inbox_notes: InboxNotes,
        ledger: Ledger,
        record_store: RecordStore,
        results_store: ResultsStore,
    ) -> dg.SensorResult | dg.SkipReason:
        stores = Stores(job_inbox, inbox_notes, ledger, record_store, results_store)
        if dry_run:
            return dg.SkipReason(preview(entry, stores, limits=limits))
        return tick(context.instance, context.cursor, entry, stores, listing_s=listing_s, limits=limits)

    return job_files


def tick(
    instance: dg.DagsterInstance,
    cursor: str | None,
    entry: AnalysisEntry,
    stores: Stores,
    *,
    listing_s: float = 0.0,
    limits: TickLimits = LIMITS,
) -> dg.SensorResult | dg.SkipReason:
    """Ingest new job files, repair interrupted jobs, and request runs.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Instance with the partitions and runs.
    cursor : str or None
        Cursor of the last tick, as written by `Memory`.
    entry : AnalysisEntry
        The analysis, with its current code version.
    stores : Stores
        Clients of inbox, notes, ledger, records and results.
    listing_s : float
        Interval between full listings of the inbox (s).
    limits : TickLimits
        Bounds of one tick.
    """
    name, memory = entry.analysis.name, Memory.read(cursor)
    todo, result, now = _ingest(instance, entry, stores, memory, listing_s, limits)
    repair(instance, entry, stores, limits=limits)
    bad = stores.notes.bad(name)
    events, digest = bad_file_events(name, bad, memory.bad, limits=limits)
    requests = request_runs(
        instance, entry, stores, limits=limits
    )  # last: a later error would lose the requests that it counts
    if requests or events:
        return dg.SensorResult(run_requests=requests, asset_events=events, cursor=replace(now, bad=digest).written())
    message = _message(entry, stores, result.read, len(bad), todo.left + len(todo.to_read) - result.read, now.after)
    if now == memory:
        return dg.SkipReason(message)
    return dg.SensorResult(skip_reason=message, cursor=now.written())


def _ingest(
    instance: dg.DagsterInstance,
    entry: AnalysisEntry,
    stores: Stores,
    memory: Memory,
    listing_s: float,
    limits: TickLimits,
) -> tuple[Plan, IntakeResult, Memory]:
    """Ingest new files; return the plan, its outcome, and the new cursor."""
    name = entry.analysis.name
    intake = Intake(entry, stores.inbox, reading_s=limits.reading_s, chunk=limits.chunk)
    judged_with = intake.judged_with()
    is_due = memory.is_due(stores.ledger.now().timestamp(), listing_s) if listing_s else True
    todo = (
        list_some(stores.inbox, stores.notes, name, after=memory.after, judged_with=judged_with, limits=limits)
        if is_due
        else refused_to_read(stores.notes.bad(name), judged_with=judged_with, limit=limits.files)
    )
    result = intake.ingest(todo.to_read, stores.ledger, stores.notes, judged_with=judged_with)
    stores.notes.forget(name, todo.gone)
    add_partitions(instance, name, result.keys, stores.ledger)
    if not is_due or not stores.inbox.in_parts:
        return todo, result, memory
    after = todo.ended_at(result.reached, before=memory.after)
    ended = not after and listing_s
    return (
        todo,
        result,
        replace(memory, after=after, listed=stores.ledger.now().timestamp() if ended else memory.listed),
    )


def add_partitions(instance: dg.DagsterInstance, name: str, keys: Sequence[str], ledger: Ledger) -> None:
    """Add partitions for new jobs as soon as they are stored, regardless of the length of the queue."""
    states = ledger.jobs.summaries(name, keys) if keys else {}
    new = [key for key in keys if key in states and states[key][0] is JobState.NEW]
    if new:
        instance.add_dynamic_partitions(name, new)


def _message(entry: AnalysisEntry, stores: Stores, read: int, bad: int, left: int, after: str) -> str:
    name = entry.analysis.name
    more = f"; {counted(left, 'file')} left for the next tick" if left else ""
    more += f"; the listing continues after {shown(after)}" if after else ""
    opened = stores.ledger.breakers.get_open(name, code_version=entry.code_version)
    stopped = f" Stopped: {opened.why}. To resume: `analysis resume {name}`." if opened else ""
    return f"No new jobs. {counted(read, 'file')} read, {bad} rejected{more}.{stopped}"


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


def request_runs(
    instance: dg.DagsterInstance, entry: AnalysisEntry, stores: Stores, *, limits: TickLimits = LIMITS
) -> list[dg.RunRequest]:
    """Add the partitions of new jobs, and return requests for runs of those that no unfinished run covers."""
    name, ledger = entry.analysis.name, stores.ledger
    waiting = ledger.jobs.keys_in(name, JobState.NEW, limit=limits.jobs)
    if not waiting:
        return []
    instance.add_dynamic_partitions(name, waiting)
    new = let_through(entry, ledger, waiting)
    if not new:
        return []
    order = instance.get_dynamic_partitions(name)
    wanted = set(new) - covered(order, unfinished_spans(instance, name))
    if ledger.run_counts.fail_crash_looping(name, list(wanted), code_version=entry.code_version):
        wanted &= set(ledger.jobs.keys_in(name, JobState.NEW, limit=limits.jobs))
    jobs, now = ledger.jobs.get_many(name, wanted), ledger.now()
    wanted -= {key for key, job in jobs.items() if not job.run_is_due(now)}
    batches = _batches(order, wanted, entry, ledger)
    known = ledger.jobs.summaries(name, wanted)
    requests = []
    for batch in batches:
        numbers = {key: known[key][2] for key in batch if key in wanted}
        ledger.run_counts.count_requested(name, numbers)
        found = set().union(*(found_in_job(jobs[key]) for key in numbers if key in jobs))
        requests.append(_run_request(batch, numbers, tags_of(found, known={})))
    return requests


def preview(entry: AnalysisEntry, stores: Stores, *, limits: TickLimits = LIMITS) -> str:
    """Return what a tick would do, without doing it."""
    name = entry.analysis.name
    intake = Intake(entry, stores.inbox, reading_s=limits.reading_s)
    judged_with = intake.judged_with()
    todo = list_some(stores.inbox, stores.notes, name, after="", judged_with=judged_with, limits=limits)
    checked = list(intake.check(todo.to_read))
    keys = {j.request[0].job_key for j in checked if j.request is not None}
    states = stores.ledger.jobs.summaries(name, keys)
    fresh = sorted(key for key in keys if key not in states)
    bad = [f"{j.file.name}: {j.problem}" for j in checked if j.problem is not None]
    lines = [
        f"DRY_RUN is set: nothing was done. {counted(len(checked), 'file')} to ingest, {counted(len(fresh), 'new job')}."
    ]
    return "\n".join([*lines, *[f"new job {key}" for key in fresh[:20]], *[f"rejected file {b}" for b in bad[:20]]])


def _batches(order: Sequence[str], wanted: set[str], entry: AnalysisEntry, ledger: Ledger) -> list[tuple[str, ...]]:
    """Return ranges that cover the wanted keys; besides these they contain only results of the current code version."""
    name, size = entry.analysis.name, entry.analysis.batch_size
    widest = ranges(order, wanted, passable=lambda _: True, size=size)
    between = {key for batch in widest for key in batch if key not in wanted}
    states = ledger.jobs.summaries(name, between) if between else {}

    def is_current(key: str) -> bool:
        state, version, _ = states.get(key, (None, None, 0))
        return state is JobState.DONE and version == entry.code_version

    return ranges(order, wanted, passable=is_current, size=size)


def _run_request(batch: Sequence[str], numbers: dict[str, int], tags: dict[str, str]) -> dg.RunRequest:
    """Return the request for one run over a range of partitions, with tags to find it by."""
    return dg.RunRequest(
        run_key=run_key(numbers),
        tags={**tags, RANGE_START: batch[0], RANGE_END: batch[-1], KEYS_TAG: keys_digest(batch)},
    )
