"""Prints, raises and returns everything in its environment, for tests of what the platform stores."""

import logging
import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel, Retry


class Parameters(ParametersModel):
    """How to tell."""

    how: Literal["print", "raise", "nest", "crash", "return", "address", "quiet"] = Field(
        default="print", description="How."
    )
    note: str = Field(default="", description="A text.")


class Outputs(OutputsModel):
    """What is told."""

    text: str = Field(default="", description="A text.")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Tell everything."""
    (results_dir / "fine.txt").write_text("a result\n", encoding="utf-8")
    if parameters.how == "quiet":
        return Outputs(text=f"nothing told {'0123456789abcdef' * 4}")
    everything = f"{dict(os.environ)} {Path('/proc/self/environ').read_text(encoding='utf-8')}"
    print(everything)  # noqa: T201
    logging.getLogger(__name__).warning("environment: %s", everything)
    sys.stderr.write("GET https://someone:urlpassword123@host/x?X-Amz-Signature=urlsignature123&token=urltoken123\n")
    match parameters.how:
        case "raise":
            raise ValueError(everything)
        case "nest":
            try:
                raise KeyError(everything)
            except KeyError as error:
                message = f"wrapped: {everything}"
                raise RuntimeError(message) from error
        case "crash":
            os._exit(3)
        case "return":
            return Outputs(text=everything)
        case "address":
            return Outputs(text="https://someone:urlpassword123@host/x")
    return Outputs(text="told")


ANALYSIS = Analysis(
    name="leaks",
    version="1",
    owners=("team:tests",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    workers=2,
    retry=Retry(max_attempts=1),
)
