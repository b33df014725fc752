"""Processes whose coverage is not measured: that makes whole platforms much slower, and quicker tests cover their code."""

import os

import pytest

_VARIABLE = "COVERAGE_PROCESS_CONFIG"
"""By which coverage starts in every process; see ``patch = ["subprocess"]`` in its documentation."""


def unmeasured(patch: pytest.MonkeyPatch) -> None:
    """Let processes that are started from here on run without coverage, as long as the patch lasts."""
    patch.delenv(_VARIABLE, raising=False)


def unmeasured_environment() -> dict[str, str]:
    """Return the environment of this process for one that runs without coverage."""
    return {name: value for name, value in os.environ.items() if name != _VARIABLE}
