"""Tells everything that it knows, as a command."""

from pydantic import Field

from domain.analysis import Analysis, OutputsModel, ParametersModel, Retry
from domain.command import Command


class Parameters(ParametersModel):
    """How to end."""

    code: int = Field(default=0, description="Exit code.")


class Outputs(OutputsModel):
    """What is told."""

    text: str = Field(default="", description="A text.")


ANALYSIS = Analysis(
    name="leaks_command",
    version="1",
    owners=("team:tests",),
    parameters=Parameters,
    outputs=Outputs,
    run=Command(
        words=("sh", "scripts/tell.sh"),
        files=("scripts/tell.sh",),
        language="Bourne shell",
        pass_variables=("LAB_API_TOKEN",),
    ),
    workers=1,
    retry=Retry(max_attempts=1),
)
