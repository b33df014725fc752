"""The same nearly empty analysis, one partition in each run: how Dagster is used by default."""

from benchmarks.analyses.batched import ANALYSIS as BATCHED
from benchmarks.analyses.batched import Outputs, Parameters, run
from domain.analysis import Analysis

ANALYSIS = Analysis(
    name="single",
    version="1",
    owners=BATCHED.owners,
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    batch_size=1,
)
