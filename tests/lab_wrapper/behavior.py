"""The behavior example of the earlier wrapper's template, with a function that takes the results folder."""

from pathlib import Path

from aind_data_schema.base import GenericModel
from pydantic import Field

from domain.wrapper import DispatchModel, from_wrapper


class BehaviorAnalysisSpecification(GenericModel):
    """Parameters as the template describes them."""

    analysis_name: str = Field(..., description="Identifier of the analysis")
    analysis_tag: str = Field(..., description="Variant of the analysis")
    response_window: list[float] = Field(..., description="Start and end of the response window (s)")
    trial_types: list[str] = Field(..., description="Trials to analyze")
    minimum_trials: int = Field(default=50, description="Fewest trials (count)")
    outlier_threshold: float = Field(default=3.0, description="Outliers are further away (standard deviations)")


class BehaviorAnalysisOutputs(GenericModel):
    """Outputs."""

    n_types: int = Field(description="Kinds of trials (count)")
    window_s: float = Field(description="Width of the window (s)")


def run_analysis(
    dispatch_model: DispatchModel, parameters: BehaviorAnalysisSpecification, results: Path
) -> dict[str, object]:
    """Measure the window."""
    begin, end = parameters.response_window
    (results / "sessions.txt").write_text("\n".join(dispatch_model.s3_location), encoding="utf-8")
    return {"n_types": len(parameters.trial_types), "window_s": end - begin}


ANALYSIS = from_wrapper(
    BehaviorAnalysisSpecification,
    BehaviorAnalysisOutputs,
    run_analysis,
    open_inputs=False,
    name="behavior",
    version="1",
    owners=("team:tests",),
)
