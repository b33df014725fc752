"""The machine of a job, and the resources that it used, as far as the system reports them."""

import contextlib
import platform
import resource
import sys
from functools import lru_cache
from pathlib import Path

import psutil

from domain.result.provenance import ResourceFacts
from engine.worker.processors import available_cpus

_RESET_PEAK = "5"  # see proc(5), clear_refs


def cpu_s() -> float:
    """Return processor time of this process and its ended children, in seconds."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def reset_peak_memory() -> None:
    """Reset the peak memory of earlier jobs of this process, if the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def peak_memory_bytes() -> int:
    """Return the peak resident memory since the last reset, in bytes."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def resource_facts(used_cpu_s: float, other_peak_bytes: int | None = None) -> ResourceFacts:
    """Return machine and resource usage of a job; the memory is that of this process unless given."""
    return ResourceFacts(
        os=platform.platform(),
        architecture=platform.machine(),
        cpu=processor(),
        cpu_cores=available_cpus(),
        memory_bytes=psutil.virtual_memory().total,
        cpu_s=round(used_cpu_s, 3),
        peak_memory_bytes=other_peak_bytes or peak_memory_bytes(),
    )


@lru_cache(maxsize=1)
def processor() -> str | None:
    """Return the processor's model."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()
    return platform.processor() or None
