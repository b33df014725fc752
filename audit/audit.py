"""The audit: compares Dagster, MongoDB and S3, and reports every difference.

Memory grows with the keys of the results only: about 0.3 kB for each, in addition to the partition sets, which Dagster
loads completely. Everything else is read in batches of 500.
"""

from audit.files import audit_files
from audit.findings import AuditReport, Finding
from audit.jobs import JobAudit
from audit.records import RecordAudit
from audit.sources import Depth, OnFinding, Sources
from engine.assets.materialization import asset_key_of


def run_audit(sources: Sources, depth: Depth | None = None, *, then: OnFinding | None = None) -> AuditReport:
    """Compare all systems without changing anything.

    Parameters
    ----------
    sources : Sources
        Open connections to all systems; a Dagster instance of None is not compared.
    depth : Depth, optional
        What is compared in addition to names, sizes and ETags.
    then : callable, optional
        Called with each finding, for example `Repairer.fix`.

    Returns
    -------
    AuditReport
        All findings, and the number of compared objects.

    Raises
    ------
    ServerUnavailableError
        If MongoDB or S3 does not answer; nothing is reported then.
    """
    report = AuditReport()

    def on_finding(finding: Finding) -> None:
        report.add(finding)
        if then is not None:
            then(finding)

    depth = depth or Depth()
    seen = audit_files(sources, report, on_finding, others=depth.content)
    for name in sources.entries:
        shown = None
        if sources.instance is not None:
            shown = sources.instance.get_materialized_partitions(asset_key_of(name))
        records = RecordAudit(sources, name, depth, seen=seen, materialized=shown)
        with_record = records.run(report, on_finding)
        JobAudit(sources, name, on_finding).run(report, with_record=with_record, materialized=shown)
    return report
