"""Appends to its own log at each execution, so that executions are counted independently."""

import hashlib
import os
import threading
from pathlib import Path

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel, Retry

LOG_VARIABLE = "FAULTS_EXECUTION_LOG"


class Parameters(ParametersModel):
    """What to do."""

    number: int = Field(default=0, description="Tells jobs apart.")
    seconds: float = Field(default=0.0, description="How long to take (s).")


class Outputs(OutputsModel):
    """What came of it."""

    square: int = Field(description="The number, squared.")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Write two files whose content depends on the number alone."""
    number = parameters.number
    with Path(os.environ[LOG_VARIABLE]).open("a", encoding="ascii") as log:
        log.write(f"{number} {os.getpid()}\n")
    threading.Event().wait(parameters.seconds)  # not `time.sleep`, which libfaketime breaks
    (results_dir / "number.txt").write_text(f"{number}\n", encoding="ascii")
    (results_dir / "deep").mkdir()
    noise = b"".join(hashlib.sha256(f"{number} {i}".encode()).digest() for i in range(2000))
    (results_dir / "deep" / "noise.bin").write_bytes(noise)
    return Outputs(square=number**2)


ANALYSIS = Analysis(
    name="counted",
    version="1",
    owners=("team:tests",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    workers=2,
    batch_size=4,
    time_limit_s=60.0,
    retry=Retry(max_attempts=3, delay_s=0.2),
)
