"""How many processors this process may use: not the host's, but what an engine has given it."""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from resources.environment import environment

_GIVEN = ("SLURM_CPUS_PER_TASK", "CO_CPUS")
_CGROUPS, _MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_cpus(*, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Return the number of processors that this process may use.

    That is the smallest of the affinity mask (``taskset``, Slurm), the limits of its control groups (containers, Kubernetes,
    systemd), ``SLURM_CPUS_PER_TASK`` and ``CO_CPUS`` (Code Ocean). `loky.cpu_count` reads only the limit of the root
    group, and so misses that of a job of Slurm or of a systemd service.

    Parameters
    ----------
    cgroups : Path
        Where control groups are mounted.
    membership : Path
        The file that lists the control groups of this process; see cgroups(7).

    Returns
    -------
    int
        At least 1. A limit of a fraction is rounded up: 1.5 processors are 2.

    Examples
    --------
    >>> available_cpus() >= 1
    True
    """
    limits = [_affinity(), *_group_limits(cgroups, membership), *_given()]
    return max(1, min(limits))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _given() -> Iterator[int]:
    """Yield what the engine says in variables; a value that is not a positive number says nothing."""
    variables = environment()
    for name in _GIVEN:
        value = variables.get(name, "").strip()
        if value.isdecimal() and int(value) > 0:
            yield int(value)


def _group_limits(cgroups: Path, membership: Path) -> Iterator[int]:
    """Yield the limits of the control groups of this process and of all groups that contain them."""
    for line in _text(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:  # version 2 has one line, without controllers
            yield from _limits(cgroups, group, _quota_v2)
        elif "cpu" in controllers.split(","):
            for folder in {controllers, "cpu"}:  # of several in one folder, each may have a link with its name
                yield from _limits(cgroups / folder, group, _quota_v1)


def _limits(root: Path, group: str, quota: Callable[[Path], int | None]) -> Iterator[int]:
    """Yield the limits from a group up to the root; in a container the root is the container's own group."""
    parts = [part for part in group.split("/") if part not in {"", ".."}]
    for number in range(len(parts), -1, -1):
        limit = quota(root.joinpath(*parts[:number]))
        if limit is not None:
            yield limit


def _quota_v2(folder: Path) -> int | None:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return _processors(quota, period)


def _quota_v1(folder: Path) -> int | None:
    return _processors(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _processors(quota: str, period: str) -> int | None:
    """Return how many processors a quota in a period (microseconds) is; None without a limit."""
    if not (quota.isdecimal() and period.isdecimal() and int(period) > 0):  # `max`, `-1`, or no such file
        return None
    return math.ceil(int(quota) / int(period))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
