"""Doubles a number: the smallest analysis, for tests of the platform."""

from pathlib import Path

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel, Retry


class Parameters(ParametersModel):
    """What to double."""

    number: float = Field(default=1.0, description="The number (no unit).")


class Outputs(OutputsModel):
    """The double."""

    double: float = Field(description="Twice the number (no unit).")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Double the number, and write it down."""
    (results_dir / "double.txt").write_text(f"{parameters.number * 2}\n", encoding="utf-8")
    (results_dir / "deep" / "er").mkdir(parents=True)
    (results_dir / "deep" / "er" / "input.txt").write_text("\n".join(job.locations), encoding="utf-8")
    return Outputs(double=parameters.number * 2)


def is_positive(outputs: Outputs) -> bool | str:
    """The double is above zero."""
    return outputs.double > 0 or f"{outputs.double} is not above zero"


ANALYSIS = Analysis(
    name="double",
    version="1",
    owners=("team:tests",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    workers=2,
    retry=Retry(delay_s=0.1),
    checks=(is_positive,),
)
