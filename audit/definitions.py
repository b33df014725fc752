"""The Dagster definitions of the audit: a check for each analysis, a job and an hourly schedule."""

from collections.abc import Sequence

import dagster as dg

from audit.checks import build_audit
from engine.discovery.analyses import AnalysisEntry


def audit_definitions(entries: Sequence[AnalysisEntry]) -> dg.Definitions:
    """Return the checks that compare Dagster, MongoDB and S3; empty definitions without an analysis."""
    if not entries:
        return dg.Definitions()
    checks, schedule = build_audit(entries)
    return dg.Definitions(asset_checks=[checks], schedules=[schedule])
