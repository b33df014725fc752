"""Computes for a fifth of a second on one core, and says when: what a core is busy with."""

import time
from pathlib import Path

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel

COMPUTE_S = 0.2


class Parameters(ParametersModel):
    """A number that distinguishes jobs."""

    number: int = Field(description="Any number.")


class Outputs(OutputsModel):
    """When the analysis's own code ran, and for how long it had a core."""

    began: float = Field(description="When it began.", json_schema_extra={"unit": "s"})
    ended: float = Field(description="When it ended.", json_schema_extra={"unit": "s"})
    cpu_s: float = Field(description="Time on a core.", json_schema_extra={"unit": "s"})


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Compute until a fifth of a second of a core is used up, and write two small files."""
    began, cpu = time.time(), time.process_time()
    for name in ("a.txt", "b.txt"):
        (results_dir / name).write_text(f"{job.locations} {parameters.number}\n", encoding="utf-8")
    while (used := time.process_time() - cpu) < COMPUTE_S:
        sum(range(1000))
    return Outputs(began=began, ended=time.time(), cpu_s=used)


ANALYSIS = Analysis(
    name="busy",
    version="1",
    owners=("team:bench",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    batch_size=500,
)
