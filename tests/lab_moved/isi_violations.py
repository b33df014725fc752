"""Which units violate the refractory period too often? Written for the earlier wrapper."""

from pathlib import Path

import numpy as np
from aind_data_schema.base import GenericModel
from pydantic import Field
from pynwb import NWBHDF5IO

from domain.wrapper import from_wrapper


class IsiSpecification(GenericModel):
    """Parameters."""

    analysis_name: str = Field(..., description="Name of the analysis")
    analysis_tag: str = Field(..., description="Tag of this variant")
    refractory_period_ms: float = Field(default=1.5, description="No neuron fires twice within this time (ms)")
    isi_violations_cutoff: float = Field(..., description="Highest share of intervals that are too short (fraction)")


class IsiOutputs(GenericModel):
    """Outputs."""

    isi_violations: list[int] = Field(..., description="Units with too many violations")
    n_units: int = Field(..., description="Units in all inputs (count)")


def run_analysis(dispatch_model, parameters):
    """Name the units whose intervals are too often shorter than the refractory period."""
    violating, n_units = [], 0
    for location in dispatch_model.file_location:
        with NWBHDF5IO(location, "r") as io:
            spike_times = io.read().units.to_dataframe()["spike_times"]
        shares = spike_times.map(lambda times: np.mean(np.diff(times) < parameters.refractory_period_ms / 1000))
        violating += spike_times.index[shares > parameters.isi_violations_cutoff].tolist()
        n_units += len(spike_times)
    Path("units.txt").write_text("\n".join(map(str, violating)))
    return {"isi_violations": violating, "n_units": n_units}


ANALYSIS = from_wrapper(
    IsiSpecification,
    IsiOutputs,
    run_analysis,
    name="isi_violations",
    version="1.0.0",
    owners=("you@example.org",),
)
