"""Tests of Dagster's UI. A package, so that the platform ends with its last test."""
