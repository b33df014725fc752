"""What an analysis file imports: `Analysis`, its models, and `Breaker` and `Retry`.

Analyses import these names from here, and their import lines are part of their code version: the names stay.
"""

from domain.analysis.breaker import Breaker
from domain.analysis.checks import Check
from domain.analysis.form import Analysis, AnalysisJob, Name, OutputsModel, ParametersModel, Version
from domain.retry import Retry

__all__ = ["Analysis", "AnalysisJob", "Breaker", "Check", "Name", "OutputsModel", "ParametersModel", "Retry", "Version"]
