"""The Dagster side of an analysis: asset, metadata, materializations, checks, tags, runs."""
