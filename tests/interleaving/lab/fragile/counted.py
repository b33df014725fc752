"""Writes a number down; the tests count its executions where it is called."""

from pathlib import Path

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, Breaker, OutputsModel, ParametersModel, Retry


class Parameters(ParametersModel):
    """What to write."""

    number: int = Field(default=0, description="Tells jobs apart.")


class Outputs(OutputsModel):
    """What came of it."""

    square: int = Field(description="The number, squared.")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Write a file whose content depends on the number alone."""
    (results_dir / "number.txt").write_text(f"{parameters.number} of the fragile code\n", encoding="ascii")
    return Outputs(square=parameters.number**2)


ANALYSIS = Analysis(
    name="counted",
    version="1",
    owners=("team:tests",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    workers=1,
    batch_size=4,
    time_limit_s=60.0,
    retry=Retry(max_attempts=1, later_rounds=0),
    breaker=Breaker(failures=2, share=0.1),
)
