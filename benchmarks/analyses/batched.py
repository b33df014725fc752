"""Nearly no work: two small files and one number, in batches of five hundred."""

from pathlib import Path

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel


class Parameters(ParametersModel):
    """A number that distinguishes jobs."""

    number: int = Field(description="Any number.")


class Outputs(OutputsModel):
    """The number again."""

    number: int = Field(description="The number that was given.")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Write two small files."""
    for name in ("a.txt", "b.txt"):
        (results_dir / name).write_text(f"{job.locations} {parameters.number}\n", encoding="utf-8")
    return Outputs(number=parameters.number)


ANALYSIS = Analysis(
    name="batched",
    version="1",
    owners=("team:bench",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    batch_size=500,
)
