"""The whole audit: Dagster, MongoDB and S3 side by side, every difference named.

Memory grows with the number of results only by their keys: about 0.3 kB for each, besides the sets of partitions that
Dagster itself loads whole. Everything else is read in batches of 500.
"""

from audit.files import audit_files
from audit.findings import Finding, Report
from audit.jobs import JobAudit
from audit.records import RecordAudit
from audit.sources import Depth, Sources, Tell
from engine.assets.materialization import asset_key_of


def run_audit(sources: Sources, depth: Depth | None = None, *, then: Tell | None = None) -> Report:
    """Compare everything, and change nothing.

    Parameters
    ----------
    sources : Sources
        What is compared.
    depth : Depth, optional
        How much; by default names, sizes and ETags.
    then : callable, optional
        Takes each finding beside the report: what repairs it.

    Returns
    -------
    Report
        What was found.

    Raises
    ------
    ServerUnavailableError
        If MongoDB or S3 does not answer: nothing was compared then.
    """
    report = Report()

    def tell(finding: Finding) -> None:
        """Report a finding, and hand it on."""
        report.add(finding)
        if then is not None:
            then(finding)

    depth = depth or Depth()
    seen = audit_files(sources, report, tell, others=depth.content)
    for name in sources.entries:
        shown = None
        if sources.instance is not None:
            shown = sources.instance.get_materialized_partitions(asset_key_of(name))
        records = RecordAudit(sources, name, depth, seen=seen, materialized=shown)
        with_record = records.run(report, tell)
        JobAudit(sources, name, tell).run(report, with_record=with_record, materialized=shown)
    return report
