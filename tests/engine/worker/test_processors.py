"""The number of worker processes follows what a run was given, not the host."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from engine.worker.processors import available_cpus
from resources.settings import PROJECT_ROOT

SAY = "from engine.worker.processors import available_cpus; print(available_cpus())"
CPU_GROUPS = Path("/sys/fs/cgroup/cpu")


def said_by_a_child(prepare="", **variables):
    """Return what a process of its own finds, after it has prepared itself."""
    done = subprocess.run(
        [sys.executable, "-c", f"{prepare}\n{SAY}"],
        env={**os.environ, **variables},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_a_mask_of_one_processor_is_one_processor():
    assert said_by_a_child("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})") == 1


@pytest.mark.parametrize("name", ["SLURM_CPUS_PER_TASK", "CO_CPUS"])
@pytest.mark.parametrize(
    ("value", "limits"), [("1", True), ("100000", False), ("0", False), ("", False), ("two", False)]
)
def test_the_engine_says_how_many_were_given(name, value, limits):
    assert said_by_a_child(**{name: value}) == (1 if limits else len(os.sched_getaffinity(0)))


@pytest.fixture
def group():
    """Give a control group of this machine with one processor."""
    folder = CPU_GROUPS / f"test-{uuid.uuid4().hex}"
    try:
        folder.mkdir()
        (folder / "cpu.cfs_period_us").write_text("100000")
        (folder / "cpu.cfs_quota_us").write_text("50000")
    except OSError as error:
        pytest.skip(f"no control groups of version 1 can be made here: {error.strerror}")
    yield folder
    folder.rmdir()


def test_a_real_control_group_limits_its_processes(group):
    assert said_by_a_child(f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))") == 1


def groups(folder, files):
    """Write control groups."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return {"cgroups": folder / "groups", "membership": folder / "membership"}


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"membership": "0::/\n", "groups/cpu.max": "100000 100000\n"}, 1),
        (
            {"membership": "0::/a/job\n", "groups/a/job/cpu.max": "max 100000\n", "groups/a/cpu.max": "50000 100000\n"},
            1,
        ),
        ({"membership": "0::/a/job\n", "groups/a/job/cpu.max": "100000 100000", "groups/cpu.max": "900000 100000"}, 1),
        ({"membership": "0::/../../job\n", "groups/job/cpu.max": "10000 100000\n"}, 1),
        (
            {
                "membership": "4:cpu,cpuacct:/docker/x\n3:memory:/y\n",
                "groups/cpu,cpuacct/cpu.cfs_quota_us": "100000",
                "groups/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            1,
        ),
        (
            {
                "membership": "1:cpu:/job\n0::/\n",
                "groups/cpu/job/cpu.cfs_quota_us": "-1",
                "groups/cpu/job/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        ({"membership": "0::/\n", "groups/cpu.max": "max 100000\n"}, None),
        ({"membership": "0::/\n", "groups/cpu.max": "100000000 100000\n"}, None),
        ({"membership": "0::/\n", "groups/cpu.max": "100000 0\n"}, None),
        ({"membership": "0::/\n", "groups/cpu.max": "µ\n"}, None),
        ({"membership": "nonsense"}, None),
        ({}, None),
    ],
)
def test_the_smallest_limit_of_all_groups_counts(tmp_path, files, limit):
    assert available_cpus(**groups(tmp_path, files)) == (limit or len(os.sched_getaffinity(0)))
