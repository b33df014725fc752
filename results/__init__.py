"""The public interface for reading results: ``from results import Results``."""

from results.result import Result
from results.result_list import ResultList
from results.results import Results

__all__ = ["Result", "ResultList", "Results"]
