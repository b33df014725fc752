"""Real recordings, job files and records: the folder that ``REAL_DATA`` names. Without it, tests that need it are skipped."""

import os
from pathlib import Path

import pytest

VARIABLE = "REAL_DATA"
REAL_DATA = Path(os.environ.get(VARIABLE) or f"{VARIABLE}-is-not-set").resolve()
"""The folder; it has ``nwb/``, ``job_files/``, ``analysis_parameters/``, ``queries/`` and ``records/``."""

if os.environ.get(VARIABLE) and not REAL_DATA.is_dir():
    message = f"{VARIABLE} is {REAL_DATA}, which is not a folder. Set it to the folder of real data, or unset it."
    raise NotADirectoryError(message)

_REASON = f"{VARIABLE} is not set: see CONTRIBUTING.md"
needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=_REASON)


def skip_without_real_data() -> None:
    """Skip a test that needs a fixture with real data."""
    if not REAL_DATA.is_dir():
        pytest.skip(_REASON)
