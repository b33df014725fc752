"""Whether a job waits in a run: asked of Dagster, where it has a home."""

from collections.abc import Callable

from domain.job.batches import covered
from engine.assets.runs import unfinished_spans
from operations.platform import open_dagster
from resources.settings import Settings


def is_queued_in(settings: Settings) -> Callable[[str, str], bool]:
    """Return a function that tells whether an unfinished run covers a job of an analysis."""

    def is_queued(name: str, job_key: str) -> bool:
        """Look at the runs that have not ended."""
        with open_dagster(settings) as instance:
            if instance is None:
                return False
            return job_key in covered(instance.get_dynamic_partitions(name), unfinished_spans(instance, name))

    return is_queued
