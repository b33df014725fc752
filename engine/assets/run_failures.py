"""The errors with which a run of an analysis ends, as Dagster's UI shows them."""

import dagster as dg

from domain.analysis.breaker import Trip
from domain.messages import counted
from engine.assets.markdown import code_block, escaped
from engine.execution.outcome import Outcome

LISTED_FAILURES = 50
"""Maximum number of failed jobs that the error of a run names."""


def given_up(how: str) -> BaseException:
    """Return what ends a run that Dagster has ended already, in a way that leaves its status.

    Parameters
    ----------
    how : str
        Status that Dagster gave the run, or ``DELETED``.
    """
    if how == dg.DagsterRunStatus.CANCELED.value:
        return dg.DagsterExecutionInterruptedError()
    return dg.Failure(
        description=f"Dagster ended this run ({how}) while it was running, for example because its host did not answer. It has "
        "stopped its jobs, and the sensor requests other runs for them. Nothing needs to be done.",
        allow_retries=False,
    )


def jobs_failed(name: str, failures: list[Outcome], total: int, stopped: Trip | None) -> dg.Failure:
    """Return the failure of a run, which names the failed jobs; the other jobs are done.

    Parameters
    ----------
    name : str
        The analysis.
    failures : list of Outcome
        Outcomes of the failed jobs, at least one.
    total : int
        Number of jobs of the run.
    stopped : Trip or None
        Why the circuit breaker stopped the run, if it did.
    """
    errors = {outcome.job_key: outcome.error for outcome in failures if outcome.error is not None}
    lines = [
        f"- `{key}` ({error.kind}): {escaped(error.message)}" for key, error in list(errors.items())[:LISTED_FAILURES]
    ]
    more = len(errors) - len(lines)
    shown = sorted(errors.values(), key=lambda error: error.kind != "exception")[:3]  # exceptions of authors first
    others = (
        "the others succeeded"
        if stopped is None
        else f"the circuit breaker opened and the remaining jobs wait: {stopped.message()}"
    )
    return dg.Failure(
        description=f"{len(errors)} of {counted(total, 'job')} failed; {others}. First: {next(iter(errors.values())).message}",
        metadata={
            "what to do": dg.MetadataValue.md(
                f"Why one job failed: `analysis explain {name} KEY`. When the cause is fixed: `analysis rerun {name} "
                "--failed`. Do not re-execute this run."
            ),
            "failed": dg.MetadataValue.md("\n".join(lines + ([f"- and {more} more"] if more else []))),
            "tracebacks": dg.MetadataValue.md("\n\n".join(code_block(e.traceback or e.log) for e in shown)),
        },
        allow_retries=False,
    )
