"""Counts lines with a shell script: an analysis in another language, which does what it is told, however bad."""

from pydantic import Field

from domain.analysis import Analysis, OutputsModel, ParametersModel, Retry
from domain.command import Command


class Parameters(ParametersModel):
    """How to behave."""

    mode: str = Field(default="fine", description="What to do.")
    note: str = Field(default="", description="A file to leave a mark in.")


class Outputs(OutputsModel):
    """What was counted."""

    lines: int = Field(description="Lines of all inputs (count).")
    ratio: float | None = Field(default=None, description="A ratio that may be undefined (ratio).")


ANALYSIS = Analysis(
    name="shell",
    version="1",
    owners=("team:tests",),
    parameters=Parameters,
    outputs=Outputs,
    run=Command(
        words=("sh", "scripts/count.sh", "{results}/lines.txt"),
        files=("scripts/count.sh",),
        language="Bourne shell",
        version_words=("sh", "-c", "echo the shell; echo more"),
        environment={"UNIT": "lines"},
        pass_variables=("WANTED",),
    ),
    workers=1,
    time_limit_s=4,
    retry=Retry(max_attempts=2, delay_s=0.1),
)
