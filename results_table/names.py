"""Dagster's names of results tables: asset keys, job, tag."""

import dagster as dg

JOB_NAME = "catalog"
TAG = "analysis_assets/catalog"
"""Tag of the runs that the sensor requests; its value is the name of the analysis."""

PRIORITY = "10"
"""An update takes seconds, so it does not wait behind batches, whose priority is 0."""


def table_key_of(name: str) -> dg.AssetKey:
    """Return the asset key of the results table of an analysis."""
    return dg.AssetKey([name, "catalog"])


def report_key_of(name: str) -> dg.AssetKey:
    """Return the asset key of the report of an analysis."""
    return dg.AssetKey([name, "report"])
