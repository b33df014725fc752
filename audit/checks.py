"""The audit in Dagster: a check for each analysis, and a sensor that asks for it every hour.

The audit of all analyses is one operation, because it lists the results once for all of them. It runs in a process of its
own, never in the daemon: a tick only asks for it.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from audit.audit import run_audit
from audit.findings import KINDS, Report
from audit.sources import Ages, Sources
from engine.assets.materialization import asset_key_of
from engine.assets.runs import UNFINISHED
from engine.discovery.analyses import AnalysisEntry
from resources.inputs.resource import Inputs
from resources.ledger.ledger import Ledger
from resources.records.store import RecordStore
from resources.result_store.store import ResultsStore

CHECK_NAME = "dagster_mongodb_and_s3_agree"
JOB_NAME = "audit"
EVERY_S = 3600.0
_LOOK_EVERY_S = 60


def build_audit(
    entries: Sequence[AnalysisEntry], *, ages: Ages | None = None
) -> tuple[dg.AssetChecksDefinition, dg.SensorDefinition]:
    """Make the checks of all analyses, which one operation answers, and the sensor that asks for them every hour.

    Parameters
    ----------
    entries : sequence of AnalysisEntry
        The analyses; at least one.
    ages : Ages, optional
        Ages below which nothing is reported.
    """
    checks = _operation({entry.analysis.name: entry for entry in entries}, ages or Ages())
    return checks, _sensor(checks)


def _operation(entries: dict[str, AnalysisEntry], ages: Ages) -> dg.AssetChecksDefinition:
    """Make the operation that audits whatever analyses are selected."""
    specs = [
        dg.AssetCheckSpec(
            name=CHECK_NAME,
            asset=asset_key_of(name),
            description="The verdict on all partitions: compares Dagster, MongoDB and S3, and names every difference, such as files "
            "that are not those of the manifest and records that the schema refuses; `analysis audit` does the same.",
        )
        for name in entries
    ]

    @dg.multi_asset_check(name="compare_dagster_mongodb_and_s3", specs=specs, can_subset=True)
    def audit(
        context: dg.AssetCheckExecutionContext,
        results_store: ResultsStore,
        record_store: RecordStore,
        ledger: Ledger,
        inputs: Inputs,
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = {key.asset_key.path[-1] for key in context.selected_asset_check_keys}
        audited = {name: entry for name, entry in entries.items() if name in chosen}
        sources = Sources(audited, results_store, record_store, ledger, inputs, context.instance, ages)
        report = run_audit(sources)
        context.log.info("Compared: %s.", ", ".join(f"{n} {what}" for what, n in report.looked_at.items()))
        for finding in report.of(""):
            context.log.warning("%s: %s", finding.kind, finding.found)
        for name in audited:
            yield _verdict(report, name)

    return audit


def _verdict(report: Report, name: str) -> dg.AssetCheckResult:
    """Judge one analysis: notes alone do not turn its check red."""
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


def _sensor(checks: dg.AssetChecksDefinition) -> dg.SensorDefinition:
    """Make the sensor; the first audit comes an hour after the first start, then one every hour."""
    job = dg.define_asset_job(JOB_NAME, selection=dg.AssetSelection.checks(checks))

    @dg.sensor(
        name="hourly_audit",
        job=job,
        minimum_interval_seconds=_LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for an audit of all analyses every hour; what it finds turns their checks red.",
    )
    def hourly_audit(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        return next_audit(context.cursor, time.time, is_at_work=lambda: _is_at_work(context.instance))

    return hourly_audit


def next_audit(
    cursor: str | None, clock: Callable[[], float], *, is_at_work: Callable[[], bool]
) -> dg.SensorResult | dg.SkipReason:
    """Ask for an audit when the last one was asked for an hour ago.

    Parameters
    ----------
    cursor : str or None
        When that was, in seconds since 1970; None at the very first tick, which only notes the time.
    clock : callable
        Tells the time.
    is_at_work : callable
        Tells whether an audit has not ended yet.
    """
    now = clock()
    if cursor is None:
        return dg.SensorResult(skip_reason="The first audit comes in an hour.", cursor=str(now))
    left = float(cursor) + EVERY_S - now
    if left > 0:
        return dg.SkipReason(f"The next audit comes in {left / 60:.0f} minutes.")
    if is_at_work():
        return dg.SkipReason("The last audit has not ended yet.")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"audit-{now:.0f}")], cursor=str(now))


def _is_at_work(instance: dg.DagsterInstance) -> bool:
    """Tell whether an audit waits or runs."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=JOB_NAME, statuses=UNFINISHED), limit=1))
