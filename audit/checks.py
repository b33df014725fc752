"""The audit in Dagster: a check for each analysis, and a schedule that runs all of them every hour.

The audit of all analyses is one operation, because it lists the results once for all of them. It runs in its own
process, never in the daemon: a tick only requests the run.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from audit.audit import run_audit
from audit.findings import KINDS, AuditReport
from audit.sources import Ages, Sources
from engine.assets.materialization import asset_key_of
from engine.assets.runs import UNFINISHED, limited
from engine.discovery.analyses import AnalysisEntry
from engine.execution.outcome import RESOURCE_KEYS

CHECK_NAME = "dagster_mongodb_and_s3_agree"
JOB_NAME = "audit"
# Not `hourly_audit`, the sensor of release 0.1: Dagster stores the states of sensors and schedules under ids made of the
# name alone, and the daemon would fail where the sensor's state is stored.
SCHEDULE_NAME = "audit_schedule"
_EVERY_HOUR = "0 * * * *"


def build_audit(
    entries: Sequence[AnalysisEntry], *, ages: Ages | None = None
) -> tuple[dg.AssetChecksDefinition, dg.ScheduleDefinition]:
    """Return the checks of all analyses, which one operation evaluates, and the schedule that runs it every hour.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        At least one; each gets a check.
    ages : Ages, optional
        Ages below which nothing is reported.
    """
    checks = _operation({entry.analysis.name: entry for entry in entries}, ages or Ages())
    return checks, _schedule(checks)


def _operation(entries: dict[str, AnalysisEntry], ages: Ages) -> dg.AssetChecksDefinition:
    """Return the operation that audits the selected analyses."""
    specs = [
        dg.AssetCheckSpec(
            name=CHECK_NAME,
            asset=asset_key_of(name),
            description="The verdict on all partitions: compares Dagster, MongoDB and S3, and names every difference, such as files "
            "that are not those of the manifest and records that the schema refuses; `analysis audit` does the same.",
        )
        for name in entries
    ]

    @dg.multi_asset_check(
        name="compare_dagster_mongodb_and_s3",
        specs=specs,
        can_subset=True,
        required_resource_keys=set(RESOURCE_KEYS.values()),
    )
    def audit(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        chosen = {key.asset_key.path[-1] for key in context.selected_asset_check_keys}
        audited = {name: entry for name, entry in entries.items() if name in chosen}
        sources = Sources.of(audited, context.resources, context.instance, ages)
        report = run_audit(sources)
        context.log.info("Compared: %s.", report.compared())
        for finding in report.of(""):
            context.log.warning("%s: %s", finding.kind, finding.found)
        for name in audited:
            yield _verdict(report, name)

    return audit


def _verdict(report: AuditReport, name: str) -> dg.AssetCheckResult:
    """Return the check result of one analysis; findings of severity `note` do not fail it."""
    counts = report.by_kind(name)
    bad = report.serious(name)
    lost = any(KINDS[kind].severity == "error" for kind in bad)
    columns = ("kind", "severity", "found", "advice")
    rows = [
        dg.TableRecord({c: finding.as_dict()[c] for c in columns} | {"job": finding.job_key})
        for finding in report.of(name)
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(c, "string") for c in (*columns, "job")])
    return dg.AssetCheckResult(
        asset_key=asset_key_of(name),
        check_name=CHECK_NAME,
        passed=not bad,
        severity=dg.AssetCheckSeverity.ERROR if lost else dg.AssetCheckSeverity.WARN,
        description=", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())) or "Nothing differs.",
        metadata={"findings": dg.MetadataValue.table(rows, schema=schema), "count": sum(counts.values())},
    )


def _schedule(checks: dg.AssetChecksDefinition) -> dg.ScheduleDefinition:
    """Return the schedule. After a pause of the daemon, Dagster evaluates only the last missed hour."""

    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if _is_unfinished(context.instance):
            return dg.SkipReason("The last audit has not ended yet.")
        return dg.RunRequest()

    return dg.ScheduleDefinition(
        name=SCHEDULE_NAME,
        job=dg.define_asset_job(JOB_NAME, selection=dg.AssetSelection.checks(checks), tags=limited(hours=24)),
        cron_schedule=_EVERY_HOUR,
        execution_timezone="UTC",
        execution_fn=tick,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Audits all analyses every hour; differences between Dagster, MongoDB and S3 turn their checks red.",
    )


def _is_unfinished(instance: dg.DagsterInstance) -> bool:
    """Return whether an audit is queued or running."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=JOB_NAME, statuses=UNFINISHED), limit=1))
