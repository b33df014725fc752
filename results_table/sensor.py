"""One sensor for all catalogs: each is brought up to date when jobs of its analysis have changed.

The ledger tells of every change, by runs and by commands alike: each one changes how many jobs are in which state, or
when a job was last changed. What a tick remembers only saves work: an update compares all records anyway.
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
from results_table.names import JOB_NAME, PRIORITY, TAG, catalog_key_of, report_key_of

LOOK_EVERY_S = 10
QUIET_S, BUSY_S = 15.0, 600.0
"""A catalog is made when no job waits or runs and nothing has changed for so long; while some do, it is made so often."""

LATE_S = 2 * BUSY_S
"""A table that is older than that, and than a result, is overdue: its updates fail, or do not run."""

_AFTER_FAILURES = Backoff(first_s=120, longest_s=3600, attempts=None)
_RUNS_LOOKED_AT = 10


@dataclass(frozen=True)
class LastRequest:
    """What is remembered of one analysis.

    Attributes
    ----------
    seen : str
        How its jobs stood when a catalog was last asked for.
    at : str
        When that was.
    late : bool
        Whether the table was reported as overdue.
    """

    seen: str
    at: str
    late: bool = False


def build_catalog_sensor(
    entries: Sequence[AnalysisEntry], assets: Sequence[dg.AssetsDefinition], *, dry_run: bool = False
) -> dg.SensorDefinition:
    """Make the sensor, and the job that it asks for.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        The analyses.
    assets : sequence of AssetsDefinition
        As `results_table.assets.build_catalogs` makes them; at least one.
    dry_run : bool
        Ask for nothing (the setting ``DRY_RUN``).
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
    """Ask for the catalogs that are due, and report those that are overdue.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Where runs are.
    cursor : str or None
        What the last tick remembered.
    entries : sequence of AnalysisEntry
        The analyses.
    ledger : Ledger
        Tells of changes.
    records : RecordReader, optional
        Where results are; without them, none is overdue.
    """
    memory, now = _remembered(cursor), ledger.now()
    requests, told, events = [], [], []
    for entry in entries:
        name, seen = entry.analysis.name, _seen(entry, ledger)
        asked = memory.setdefault(name, LastRequest("", now.isoformat()))
        why_not = _why_not(instance, name, seen, asked, now)
        if why_not:
            told.append(f"{name}: {why_not}")
        else:
            memory[name] = replace(asked, seen=seen.text, at=now.isoformat())
            requests.append(_request(name, now))
        age = "" if records is None else _overdue(instance, records, name, now)
        if bool(age) is not asked.late:
            memory[name] = replace(memory[name], late=bool(age))
            events.append(verdict(name, age))
    kept = json.dumps({name: asdict(asked) for name, asked in memory.items()})
    if requests or events:
        return dg.SensorResult(run_requests=requests, asset_events=events, cursor=kept)
    return dg.SensorResult(skip_reason="; ".join(told), cursor=kept)


@dataclass(frozen=True)
class _Seen:
    """How the jobs of an analysis stand: how many there are, how many wait or run, when one last changed, and all as a text."""

    jobs: int
    busy: int
    last: datetime | None
    text: str


def _seen(entry: AnalysisEntry, ledger: Ledger) -> _Seen:
    """Ask the ledger how the jobs of an analysis stand."""
    counts, last = ledger.jobs.counts(entry.analysis.name), ledger.jobs.last_change(entry.analysis.name)
    text = json.dumps([str(last), *counts.values(), entry.code_version])
    return _Seen(sum(counts.values()), counts[JobState.NEW] + counts[JobState.RUNNING], last, text)


def _why_not(instance: dg.DagsterInstance, name: str, seen: _Seen, asked: LastRequest, now: datetime) -> str:
    """Say why no catalog is asked for; empty when one is."""
    if not seen.jobs:
        return "no job yet"
    failed = failures_in_a_row(instance, name)
    if seen.text == asked.seen and not failed:
        return "up to date"
    asked_at = datetime.fromisoformat(asked.at)
    due = asked_at + timedelta(seconds=BUSY_S)
    if not seen.busy:
        due = max(asked_at, seen.last or asked_at) + timedelta(seconds=QUIET_S)
    if failed:
        due = max(due, asked_at + timedelta(seconds=_AFTER_FAILURES.wait_after(failed) or 0.0))
    left = due - now
    if left > timedelta(0):
        return f"due in {left.total_seconds():.0f} s"
    return "its results table is being updated" if is_at_work(instance, name) else ""


def _overdue(instance: dg.DagsterInstance, records: RecordReader, name: str, now: datetime) -> str:
    """Say how old a catalog is if it is overdue; empty when it is not, or when there is none."""
    updated = updated_at(instance, name)
    if updated is None or now - updated <= timedelta(seconds=LATE_S):
        return ""
    return table_age(instance, records, name)


def failures_in_a_row(instance: dg.DagsterInstance, name: str) -> int:
    """Return how many of the latest runs for a catalog failed, one after another."""
    runs = instance.get_runs(dg.RunsFilter(tags={TAG: name}), limit=_RUNS_LOOKED_AT)
    return len(list(takewhile(lambda run: run.status is dg.DagsterRunStatus.FAILURE, runs)))


def is_at_work(instance: dg.DagsterInstance, name: str) -> bool:
    """Tell whether a run that makes the catalog has not ended, whoever launched it."""
    key = catalog_key_of(name)
    return any(
        key in run.asset_selection if run.asset_selection else run.job_name == JOB_NAME
        for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    )


def _request(name: str, now: datetime) -> dg.RunRequest:
    """Ask for the catalog and the report of one analysis."""
    return dg.RunRequest(
        run_key=f"catalog-{name}-{now.isoformat()}",
        asset_selection=[catalog_key_of(name), report_key_of(name)],
        tags={TAG: name, "dagster/priority": PRIORITY},
    )


def _remembered(cursor: str | None) -> dict[str, LastRequest]:
    """Read what the last tick remembered; nothing when it cannot be read."""
    try:
        found = json.loads(cursor or "{}").items()
        return {name: LastRequest(asked["seen"], asked["at"], asked.get("late") is True) for name, asked in found}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
