"""What catalogs are called in Dagster: assets, job, tag."""

import dagster as dg

JOB_NAME = "catalog"
TAG = "analysis_assets/catalog"
"""Tag of the runs that the sensor asks for; its value is the analysis."""

PRIORITY = "10"
"""A catalog takes seconds: it does not wait behind batches, whose priority is 0."""


def catalog_key_of(name: str) -> dg.AssetKey:
    """Return the key of the catalog of an analysis."""
    return dg.AssetKey([name, "catalog"])


def report_key_of(name: str) -> dg.AssetKey:
    """Return the key of the report of an analysis."""
    return dg.AssetKey([name, "report"])
