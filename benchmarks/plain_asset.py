"""A plain Dagster asset with dynamic partitions: what Dagster's page costs without anything of ours."""

import dagster as dg

PARTITIONS = dg.DynamicPartitionsDefinition(name="plain")
KEY = dg.AssetKey("plain")


@dg.asset(partitions_def=PARTITIONS)
def plain() -> None:
    """Do nothing."""


@dg.definitions
def defs() -> dg.Definitions:
    """Return the one asset."""
    return dg.Definitions(assets=[plain])
