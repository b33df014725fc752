"""The sensor that updates a results table when jobs of its analysis have changed.

The ledger shows every change, by runs and by commands: each one changes the number of jobs in a state, or the time of
the last change. The cursor only saves work: an update compares all records anyway.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

import dagster as dg

from domain.job.state import JobState
from domain.retry import Backoff
from engine.assets.runs import UNFINISHED, limited
from engine.discovery.analyses import AnalysisEntry
from resources.ledger.ledger import Ledger
from resources.records.reader import RecordReader
from resources.records.store import RecordStore
from results_table.age import table_age, updated_at, verdict
from results_table.names import JOB_NAME, PRIORITY, TAG, report_key_of, table_key_of

LOOK_EVERY_S = 10
QUIET_S, BUSY_S = 15.0, 600.0
"""Wait after the last change when no job waits or runs, and interval of updates while jobs wait or run."""

LATE_S = 2 * BUSY_S
"""A table that is older than that, and than a result, is overdue: its updates fail, or do not run."""

_AFTER_FAILURES = Backoff(first_s=120, longest_s=3600, attempts=None)
_RUNS_LOOKED_AT = 10


@dataclass(frozen=True)
class LastRequest:
    """The part of the cursor for one analysis.

    Attributes
    ----------
    seen : str
        Counts and last change of its jobs at the last request.
    at : str
        Time of the last request (UTC, ISO 8601).
    late : bool
        Whether the table was reported as overdue.
    """

    seen: str
    at: str
    late: bool = False


def build_table_sensor(
    entries: Sequence[AnalysisEntry], assets: Sequence[dg.AssetsDefinition], *, dry_run: bool = False
) -> dg.SensorDefinition:
    """Return the sensor, and the job that it launches.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        Analyses whose tables are updated.
    assets : sequence of AssetsDefinition
        Assets from `results_table.assets.build_table_assets`; at least one.
    dry_run : bool
        Request no runs (the setting ``DRY_RUN``).
    """
    job = dg.define_asset_job(
        JOB_NAME,
        selection=dg.AssetSelection.assets(*assets).without_checks(),
        description="Updates the tables and reports of all analyses; the sensor `catalogs` requests it after runs.",
        tags={"dagster/priority": PRIORITY, **limited(hours=2)},
    )

    @dg.sensor(
        name="catalogs",
        job=job,
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Updates the results table and the report of each analysis after its jobs have changed.",
    )
    def catalogs(
        context: dg.SensorEvaluationContext, ledger: Ledger, record_store: RecordStore
    ) -> dg.SensorResult | dg.SkipReason:
        if dry_run:
            return dg.SkipReason("DRY_RUN is set: no run is requested.")
        return tick(context.instance, context.cursor, entries, ledger, records=record_store)

    return catalogs


def tick(
    instance: dg.DagsterInstance,
    cursor: str | None,
    entries: Sequence[AnalysisEntry],
    ledger: Ledger,
    *,
    records: RecordReader | None = None,
) -> dg.SensorResult | dg.SkipReason:
    """Request the updates that are due, and report those that are overdue.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Storage of earlier and unfinished runs.
    cursor : str or None
        Cursor of the last tick; an unreadable one is ignored.
    entries : sequence of AnalysisEntry
        Analyses whose tables are updated.
    ledger : Ledger
        Counts of jobs by state, and the time of the last change; only read.
    records : RecordReader, optional
        Where results are; without them, none is overdue.
    """
    memory, now = _remembered(cursor), ledger.now()
    requests, reasons, events = [], [], []
    for entry in entries:
        name, seen = entry.analysis.name, _seen(entry, ledger)
        last = memory.setdefault(name, LastRequest("", now.isoformat()))
        why_not = _why_not(instance, name, seen, last, now)
        if why_not:
            reasons.append(f"{name}: {why_not}")
        else:
            memory[name] = replace(last, seen=seen.text, at=now.isoformat())
            requests.append(_request(name, now))
        age = "" if records is None else _overdue(instance, records, name, now)
        if bool(age) is not last.late:
            memory[name] = replace(memory[name], late=bool(age))
            events.append(verdict(name, age))
    kept = json.dumps({name: asdict(last) for name, last in memory.items()})
    if requests or events:
        return dg.SensorResult(run_requests=requests, asset_events=events, cursor=kept)
    return dg.SensorResult(skip_reason="; ".join(reasons), cursor=kept)


@dataclass(frozen=True)
class _Seen:
    """The jobs of an analysis: total, waiting or running, time of the last change, and all as a text."""

    jobs: int
    busy: int
    last: datetime | None
    text: str


def _seen(entry: AnalysisEntry, ledger: Ledger) -> _Seen:
    counts, last = ledger.jobs.counts(entry.analysis.name), ledger.jobs.last_change(entry.analysis.name)
    text = json.dumps([str(last), *counts.values(), entry.code_version])
    return _Seen(sum(counts.values()), counts[JobState.NEW] + counts[JobState.RUNNING], last, text)


def _why_not(instance: dg.DagsterInstance, name: str, seen: _Seen, last: LastRequest, now: datetime) -> str:
    """Return why no update is requested; empty if one is."""
    if not seen.jobs:
        return "no job yet"
    failed = failures_in_a_row(instance, name)
    if seen.text == last.seen and not failed:
        return "up to date"
    requested_at = datetime.fromisoformat(last.at)
    due = requested_at + timedelta(seconds=BUSY_S)
    if not seen.busy:
        due = max(requested_at, seen.last or requested_at) + timedelta(seconds=QUIET_S)
    if failed:
        due = max(due, requested_at + timedelta(seconds=_AFTER_FAILURES.wait_after(failed) or 0.0))
    left = due - now
    if left > timedelta(0):
        return f"due in {left.total_seconds():.0f} s"
    return "its results table is being updated" if is_updating(instance, name) else ""


def _overdue(instance: dg.DagsterInstance, records: RecordReader, name: str, now: datetime) -> str:
    """Say how old a catalog is if it is overdue; empty when it is not, or when there is none."""
    updated = updated_at(instance, name)
    if updated is None or now - updated <= timedelta(seconds=LATE_S):
        return ""
    return table_age(instance, records, name)


def failures_in_a_row(instance: dg.DagsterInstance, name: str) -> int:
    """Return the number of failed runs since the last successful one."""
    runs = instance.get_runs(dg.RunsFilter(tags={TAG: name}), limit=_RUNS_LOOKED_AT)
    return len(list(takewhile(lambda run: run.status is dg.DagsterRunStatus.FAILURE, runs)))


def is_updating(instance: dg.DagsterInstance, name: str) -> bool:
    """Return whether a run that updates the table is unfinished, no matter who launched it."""
    key = table_key_of(name)
    return any(
        key in run.asset_selection if run.asset_selection else run.job_name == JOB_NAME
        for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    )


def _request(name: str, now: datetime) -> dg.RunRequest:
    """Return the run request for table and report of one analysis."""
    return dg.RunRequest(
        run_key=f"catalog-{name}-{now.isoformat()}",
        asset_selection=[table_key_of(name), report_key_of(name)],
        tags={TAG: name, "dagster/priority": PRIORITY},
    )


def _remembered(cursor: str | None) -> dict[str, LastRequest]:
    """Parse the cursor; an unreadable one is empty."""
    try:
        found = json.loads(cursor or "{}").items()
        return {name: LastRequest(last["seen"], last["at"], last.get("late") is True) for name, last in found}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
