"""The earlier module of the public read API, which moved to ``results``."""

import warnings

from results import Results

__all__ = ["Results"]

warnings.warn(
    "`resources.results` moved: write `from results import Results`. The earlier import ends with release 0.3.",
    DeprecationWarning,
    stacklevel=2,
)
