"""Whether a job waits in a run, according to Dagster."""

from collections.abc import Callable

from domain.job.batches import covered
from engine.assets.runs import unfinished_spans
from operations.platform import open_dagster
from resources.settings import Settings


def is_queued_in(settings: Settings) -> Callable[[str, str], bool]:
    """Return a function of analysis and job key that returns whether an unfinished run covers the job."""

    def is_queued(name: str, job_key: str) -> bool:
        with open_dagster(settings) as instance:
            if instance is None:
                return False
            return job_key in covered(instance.get_dynamic_partitions(name), unfinished_spans(instance, name))

    return is_queued
