"""One sensor per analysis: new job files become jobs, partitions and batched runs.

See https://docs.dagster.io/guides/automate/sensors. The ledger is authoritative: a tick ingests files, repairs
states, and requests runs of new jobs that no run covers. No tick depends on an earlier one, so a tick can be interrupted
anywhere. The cursor holds a digest of the rejected files that were last reported, and the position of the listing in S3.
"""

from collections.abc import Sequence
from dataclasses import replace

import dagster as dg

from domain.job.state import JobState
from domain.messages import counted, shown
from engine.assets.materialization import asset_key_of
from engine.assets.runs import job_name_of
from engine.discovery.analyses import AnalysisEntry
from resources.inbox.job_inbox import JobInbox
from resources.inbox.notes import InboxNotes
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore
from sensors.job_files.cursor import Memory
from sensors.job_files.intake import Intake, IntakeResult
from sensors.job_files.listing import Plan, list_some, rejected_to_read
from sensors.job_files.rejected import rejected_file_events
from sensors.job_files.repair import repair
from sensors.job_files.run_requests import request_runs
from sensors.job_files.stores import Stores
from sensors.limits import LIMITS, TickLimits

MIN_INTERVAL_S = 5


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
    bad = stores.notes.rejected(name)
    events, digest = rejected_file_events(name, bad, memory.bad, limits=limits)
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
        else rejected_to_read(stores.notes.rejected(name), judged_with=judged_with, limit=limits.files)
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
