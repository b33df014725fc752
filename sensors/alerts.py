"""Sensors that send alerts: failed runs, circuit breakers, rejected job files, and audits with findings.

Each is reported once. What was reported is stored in the sensor's cursor or with the breaker, and survives a restart.
"""

import json
from collections.abc import Iterator, Sequence

import dagster as dg

from audit.checks import CHECK_NAME
from domain.alert import Alert
from domain.job.identity import keys_digest
from domain.messages import counted
from engine.assets.materialization import asset_key_of
from engine.discovery.analyses import AnalysisEntry
from resources.alerts import Alerts
from resources.inbox.notes import InboxNotes
from resources.ledger.ledger import Ledger
from results_table.names import TAG as CATALOG_TAG

LOOK_EVERY_S = 30
_SHOWN = 10


def build_alert_sensors(entries: Sequence[AnalysisEntry], *, ui_url: str) -> list[dg.SensorDefinition]:
    """Make the two sensors that send alerts.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        The analyses, with their current code versions.
    ui_url : str
        Address of Dagster's UI, for links.
    """
    names = [entry.analysis.name for entry in entries]

    @dg.run_failure_sensor(
        name="alert_on_failed_runs",
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends an alert for every run that failed or died.",
    )
    def alert_on_failed_runs(context: dg.RunFailureSensorContext, alerts: Alerts) -> None:
        alerts.send(failed_run(context.dagster_run, context.failure_event, ui_url=ui_url))

    @dg.sensor(
        name="alert_on_what_stands_still",
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends alerts for open circuit breakers, rejected job files and audits with findings.",
    )
    def alert_on_what_stands_still(
        context: dg.SensorEvaluationContext, alerts: Alerts, ledger: Ledger, inbox_notes: InboxNotes
    ) -> dg.SensorResult:
        reported = dict(json.loads(context.cursor or "{}"))
        sent = list(breaker_alerts(ledger, alerts, ui_url=ui_url))
        for name in names:
            sent += changed(reported, f"rejected files of {name}", rejected_files(inbox_notes, name), alerts)
            sent += changed(reported, f"audit of {name}", audit_findings(context.instance, name, ui_url=ui_url), alerts)
        message = f"{len(sent)} alerts." if sent else "Nothing new."
        return dg.SensorResult(skip_reason=message, cursor=json.dumps(reported))

    return [alert_on_failed_runs, alert_on_what_stands_still]


def failed_run(run: dg.DagsterRun, event: dg.DagsterEvent, *, ui_url: str) -> Alert:
    """Return the alert for a failed run: its first error, and a link."""
    failure = event.job_failure_data
    first = failure.first_step_failure_event if failure is not None else None
    data = first.step_failure_data if first is not None else None
    described = data.user_failure_data.description if data is not None and data.user_failure_data is not None else None
    what = described or event.message or "It ended without saying why."
    return Alert(
        title=f"Run {run.run_id[:8]} of {run.job_name} failed",
        text=what[:2000],
        analysis=run.tags.get(CATALOG_TAG, run.job_name.removesuffix("_batch")),
        link=f"{ui_url}/runs/{run.run_id}",
    )


def breaker_alerts(ledger: Ledger, alerts: Alerts, *, ui_url: str) -> Iterator[str]:
    """Send an alert for each breaker whose last change was not reported; yield the names of their analyses."""
    for found in ledger.breakers.unreported():
        name, is_open = found["analysis"], found["state"] == "open"
        advice = f"No more runs are requested until the cause is fixed; then run `analysis resume {name}`."
        if found.get("probe_at"):
            advice += " A few jobs are tried from time to time; it closes automatically when one succeeds."
        closed = f"Closed by {found.get('closed_by')}: {found.get('closed_because')}."
        alerts.send(
            Alert(
                title=f"The circuit breaker of {name} {'opened' if is_open else 'closed'}",
                text=f"{found['why']}\n{advice}" if is_open else closed,
                severity="error" if is_open else "note",
                analysis=name,
                link=f"{ui_url}/assets/{'/'.join(asset_key_of(name).path)}",
            )
        )
        ledger.breakers.mark_reported(name, found["changed"])
        yield name


def rejected_files(notes: InboxNotes, name: str) -> tuple[str, Alert] | None:
    """Return the alert for the rejected job files of an analysis, with a digest; None if there are none."""
    bad = notes.rejected(name)
    if not bad:
        return None
    shown = "\n".join(f"{note.name}: {note.problem}" for note in bad[:_SHOWN])
    advice = "\nFix each file, or remove it; `analysis validate FILE` checks it at once."
    alert = Alert(
        title=f"{counted(len(bad), 'rejected job file')} for {name}",
        text=shown[:2000] + advice,
        severity="warning",
        analysis=name,
    )
    return keys_digest(f"{note.name}: {note.problem}" for note in bad), alert


def audit_findings(instance: dg.DagsterInstance, name: str, *, ui_url: str) -> tuple[str, Alert] | None:
    """Return the alert for the findings of the latest audit of an analysis, with a digest; None if its check passed."""
    key = dg.AssetCheckKey(asset_key_of(name), CHECK_NAME)
    latest = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    event = latest[0].event if latest else None
    evaluation = event.dagster_event.asset_check_evaluation_data if event and event.dagster_event else None
    if evaluation is None or evaluation.passed:
        return None
    found = evaluation.description or "see its check"
    link = f"{ui_url}/assets/{'/'.join(asset_key_of(name).path)}?view=checks"
    title = f"The audit of {name} found differences"
    text = f"{found}. `analysis audit {name}` lists each one, and how to fix it."
    return keys_digest([found]), Alert(title=title, text=text, severity="warning", analysis=name, link=link)


def changed(reported: dict[str, str], what: str, found: tuple[str, Alert] | None, alerts: Alerts) -> list[str]:
    """Send an alert unless one with the same digest was reported; return the subjects that were sent."""
    if found is None:
        reported.pop(what, None)
        return []
    digest, alert = found
    if reported.get(what) == digest:
        return []
    alerts.send(alert)
    reported[what] = digest
    return [what]
