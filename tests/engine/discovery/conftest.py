"""An analysis to change, and a repository that Python finds."""

import sys
from pathlib import Path

import pytest

from engine.discovery.analyses import load_analysis

LAB = Path(__file__).parents[2] / "lab"
OWN_PACKAGES = ("of_data_test", "of_modules_test")
"""Packages that tests write into the repository; Python must forget them."""


@pytest.fixture
def analysis():
    """Give an analysis; what it declares is changed by each test."""
    return load_analysis(LAB / "double.py").analysis


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Give a repository that Python finds, with a function that writes files into it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / "lab" / "double.py"

    yield write
    for name in [name for name in sys.modules if name.startswith(OWN_PACKAGES)]:
        del sys.modules[name]
