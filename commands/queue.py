"""Whether a job waits in a run: asked of Dagster, where it has a home."""

from collections.abc import Callable

import dagster as dg

from domain.batches import covered
from resources.settings import Settings
from sensors.runs import unfinished_spans


def is_queued_in(settings: Settings) -> Callable[[str, str], bool]:
    """Return a function that tells whether an unfinished run covers a job of an analysis."""

    def is_queued(name: str, job_key: str) -> bool:
        """Look at the runs that have not ended."""
        if not (settings.dagster_home / "dagster.yaml").is_file():
            return False
        with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            return job_key in covered(instance.get_dynamic_partitions(name), unfinished_spans(instance, name))

    return is_queued
