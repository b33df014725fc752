"""A disk is full for a while: small ones of memory, which only root may mount."""

import os
import shutil
import subprocess
import time
from contextlib import suppress

import pytest

from tests.faults import sizes
from tests.faults.test_killed_processes import JOBS
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

WORK = (45, "disk of the work folder full")
S3_DISK = (46, "disk of the S3 server full")


@pytest.fixture
def small_disk():
    """Give a function that mounts a disk of four megabytes at a folder."""
    mounted = []

    def mount(folder):
        folder.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
        if os.geteuid() or not shutil.which("mount") or subprocess.run(words, check=False).returncode:
            pytest.skip("a disk can be mounted by root only")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk, *, left):
    """Fill a disk until so many bytes are left; gives the file to remove."""
    ballast = disk / "0-ballast"
    ballast.write_bytes(b"\0" * (shutil.disk_usage(disk).free - left))
    return ballast


@pytest.mark.parametrize("left", sizes.of([0, 20_000], small=[20_000]))
def test_a_job_whose_disk_is_full_fails_for_a_reason_that_passes_and_goes_on(stage, judge, small_disk, left):
    ballast = fill(small_disk(stage.settings.analysis_scratch), left=left)
    stage.ask(*JOBS)
    (run,) = stage.tick()
    stage.wait([stage.start_run(run)])
    failed = stage.ledger.jobs.get_many(stage.name, stage.job_keys()).values()
    assert {(job.state.value, job.error.permanent) for job in failed} == {("failed", False)}
    assert all("No space left on device" in job.error.message for job in failed)
    assert list(stage.records.newest(stage.name)) == []
    ballast.unlink()
    began = time.monotonic()
    stage.ledger.requests.requeue(stage.name, stage.job_keys(), who="a test")
    stage.settle()
    judge(WORK, stage, injected=1, seconds=time.monotonic() - began, by_hand=True)


def test_a_full_disk_of_the_s3_server_delays_results(lab, judge, small_disk):
    disk = small_disk(lab.servers.home / "s3" / "small")
    stage = lab.stage(bucket="small")
    wait_for(lambda: stage.results.s3.server.has_bucket("small"), "the server does not see its new disk")
    stage.ask(*JOBS)
    (run,) = stage.tick()
    ballast = fill(disk, left=70_000)
    process, began = stage.start_run(run), time.monotonic()
    wait_for(lambda: sum("PUT" in seen for seen in lab.injection.seen) > 8, "nothing is uploaded")
    with suppress(FileNotFoundError):
        ballast.unlink()
    stage.wait([process])
    stage.monitor()
    stage.settle()
    judge(S3_DISK, stage, injected=1, seconds=time.monotonic() - began)
    stage.close()
