"""One click in the UI: a Dagster job for each analysis that asks again for what failed."""

import dagster as dg
from pydantic import Field

from domain.job.state import JobState
from engine.assets.runs import limited
from engine.discovery.analyses import AnalysisEntry
from resources.ledger.ledger import Ledger
from resources.ledger.requests import failed_by
from resources.process import person


class RetryConfig(dg.Config):
    """What may be chosen in the launchpad; nothing has to be."""

    kinds: list[str] = Field(
        default=[],
        description="Only failures of these kinds (docs/errors.md); empty: all but those that a person ended.",
    )


def build_retry_job(entry: AnalysisEntry) -> dg.JobDefinition:
    """Make the job that turns failed jobs of an analysis into new ones; its sensor asks for their runs.

    Parameters
    ----------
    entry : AnalysisEntry
        The analysis.
    """
    name = entry.analysis.name

    @dg.op(name=f"{name}_ask_again")
    def ask_again(context: dg.OpExecutionContext, config: RetryConfig, ledger: Ledger) -> None:
        keys = ledger.jobs.keys_in(name, JobState.FAILED, match={"error.kind": failed_by(config.kinds)})
        asked = ledger.requests.requeue(name, keys, who=f"{person()}, from the launchpad")
        context.log.info("Requested %d failed jobs of %s again; the sensor launches them.", asked, name)

    @dg.job(
        name=f"{name}_retry_failed",
        tags=limited(hours=2),
        description=f"Requests every failed job of `{name}`. Jobs that a person cancelled, or whose result was declared "
        "wrong, stay as they are unless their kind is named.",
    )
    def retry_failed() -> None:
        ask_again()

    return retry_failed
