"""A Dagster job for each analysis that requeues its failed jobs from the UI."""

import dagster as dg
from pydantic import Field

from domain.job.state import JobState
from engine.assets.runs import limited
from engine.discovery.analyses import AnalysisEntry
from resources.ledger.ledger import Ledger
from resources.ledger.requests import failed_by
from resources.process import person


class RetryConfig(dg.Config):
    """Optional fields of the launchpad."""

    kinds: list[str] = Field(
        default=[],
        description="Only failures of these kinds (docs/errors.md); empty: all but those that a person ended.",
    )


def build_retry_job(entry: AnalysisEntry) -> dg.JobDefinition:
    """Build the Dagster job that requeues failed jobs of an analysis; its sensor requests their runs.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis, with its current code version.
    """
    name = entry.analysis.name

    @dg.op(name=f"{name}_ask_again")
    def requeue(context: dg.OpExecutionContext, config: RetryConfig, ledger: Ledger) -> None:
        keys = ledger.jobs.keys_in(name, JobState.FAILED, match={"error.kind": failed_by(config.kinds)})
        number = ledger.requests.requeue(name, keys, who=f"{person()}, from the launchpad")
        context.log.info("Requested %d failed jobs of %s again; the sensor launches them.", number, name)

    @dg.job(
        name=f"{name}_retry_failed",
        tags=limited(hours=2),
        description=f"Requests every failed job of `{name}`. Jobs that a person cancelled, or whose result was declared "
        "wrong, stay as they are unless their kind is named.",
    )
    def retry_failed() -> None:
        requeue()

    return retry_failed
