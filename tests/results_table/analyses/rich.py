"""An analysis with parameters and outputs of every type; nobody runs it."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel


class Window(ParametersModel):
    """A part of a session."""

    start_s: float = Field(description="Begin (s).")


class Parameters(ParametersModel):
    """Of every type."""

    method: Literal["a", "b"] = Field(default="a", description="Method.")
    bin_s: float = Field(default=0.5, description="Bin width (s).")
    limit: int | None = Field(default=None, description="Most (count).")
    robust: bool = Field(default=False, description="Whether it is robust.")
    window: Window | None = Field(default=None, description="Part of the session.")
    names: tuple[str, ...] = Field(default=(), description="Names.")
    mixed: int | str | None = Field(default=None, description="Either.")
    ratio: float = Field(default=1, description="A ratio (ratio).")


class Outputs(OutputsModel):
    """Of every type."""

    outcome: Literal["good", "poor"] = Field(description="How it went.")
    rate_hz: float | None = Field(description="Mean rate (Hz).")
    count: int = Field(description="How many (count).")
    is_stable: bool | None = Field(default=None, description="Whether it is stable.")
    by_unit: dict[str, float] | None = Field(default=None, description="For each unit (Hz).")
    note: str | None = Field(default=None, description="A note.")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Do nothing."""
    raise NotImplementedError  # its records are made by hand; only the models matter here


ANALYSIS = Analysis(name="rich", version="1", owners=("team:tests",), parameters=Parameters, outputs=Outputs, run=run)
