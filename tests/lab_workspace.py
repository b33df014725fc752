"""A code location with the analyses for tests, as a workspace file names it."""

from pathlib import Path

from resources.settings import PROJECT_ROOT

LAB = Path(__file__).parent / "lab"
DEFINITIONS = """
from pathlib import Path

import dagster as dg

from definitions import build_defs
from resources.settings import load_settings


@dg.definitions
def defs():
    return build_defs(load_settings(), folder=Path({folder!r}))
"""
_LAB = f"""
  - python_file:
      relative_path: lab_definitions.py
      working_directory: {PROJECT_ROOT}
      location_name: lab
"""
_PROJECT = f"""
  - python_file:
      relative_path: {PROJECT_ROOT}/definitions.py
      location_name: analysis-assets
"""


def write_workspace(folder, *, with_project=False, lab=LAB):
    """Write a workspace of the test analyses, and of the project's own if requested; return the file."""
    (folder / "lab_definitions.py").write_text(DEFINITIONS.format(folder=str(lab)), encoding="utf-8")
    path = folder / "workspace.yaml"
    path.write_text(f"load_from:{_PROJECT if with_project else ''}{_LAB}", encoding="utf-8")
    return path
