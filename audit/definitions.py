"""What Dagster loads for the audit: the check of each analysis, and what runs it every hour."""

from collections.abc import Sequence

import dagster as dg

from audit.checks import build_audit
from engine.discovery.analyses import AnalysisEntry


def audit_definitions(entries: Sequence[AnalysisEntry]) -> dg.Definitions:
    """Make the checks that compare Dagster, MongoDB and S3; nothing where there is no analysis."""
    if not entries:
        return dg.Definitions()
    checks, schedule = build_audit(entries)
    return dg.Definitions(asset_checks=[checks], schedules=[schedule])
