"""The ephys example of the earlier wrapper's template: its models, and a function as its users wrote them."""

import os
from pathlib import Path

from aind_data_schema.base import GenericModel
from pydantic import Field

from domain.wrapper import DispatchModel, from_wrapper


class EphysAnalysisSpecification(GenericModel):
    """Parameters as the template describes them."""

    analysis_name: str = Field(..., description="Identifier of the analysis")
    analysis_tag: str = Field(..., description="Variant of the analysis")
    isi_violations_cutoff: float = Field(..., description="Threshold of ISI violations (fraction)")
    amplitude_cutoff_threshold: float = Field(default=0.1, description="Threshold of the amplitude cutoff (fraction)")
    isolation_distance_threshold: float = Field(default=20.0, description="Smallest isolation distance (no unit)")
    spike_count_threshold: int = Field(default=100, description="Fewest spikes (count)")


class EphysAnalysisOutputs(GenericModel):
    """Outputs as the template describes them."""

    isi_violations: list[str | int] = Field(..., description="Units with too many violations")
    additional_info: str | None = Field(default=None, description="Anything else")


def run_analysis(dispatch_model: DispatchModel, parameters: EphysAnalysisSpecification) -> dict[str, object]:
    """Write beside the code, as in a capsule whose working folder was the results folder."""
    Path("table.csv").write_text("unit\n", encoding="utf-8")
    (Path(os.environ["RESULTS_DIR"]) / "tag.txt").write_text(parameters.analysis_tag, encoding="utf-8")
    named = [Path(location).read_text(encoding="utf-8") for location in dispatch_model.file_location or []]
    return {"isi_violations": named, "additional_info": f"cutoff {parameters.isi_violations_cutoff}"}


ANALYSIS = from_wrapper(
    EphysAnalysisSpecification, EphysAnalysisOutputs, run_analysis, name="ephys", version="1", owners=("team:tests",)
)
