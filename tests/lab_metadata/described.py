"""Shows the metadata of its inputs: an analysis that declares it."""

from pathlib import Path

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel


class Parameters(ParametersModel):
    """No parameters but a number, which distinguishes jobs."""

    number: float = Field(default=1.0, description="The number (no unit).")


class Outputs(OutputsModel):
    """What the records and the group say."""

    names: tuple[str, ...] = Field(description="Names in the metadata records of the inputs.")
    group: tuple[str, ...] = Field(description="Fields of the group, as `name=value`.")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Return the names of the records, and change the records, which must not change the digests."""
    names = tuple(record["name"] for record in job.metadata_records)
    for record in job.metadata_records:
        record.clear()
    return Outputs(names=names, group=tuple(f"{name}={value}" for name, value in job.group.items()))


ANALYSIS = Analysis(
    name="described",
    version="1",
    owners=("team:tests",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    input_metadata=("records", "group"),
    workers=1,
)
