"""Peers that are other programs: the earlier wrapper's loop and Snakemake, in an environment of their own."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from domain.errors import ServerUnavailableError
from operations.platform import Platform
from resources.embedded.embedded import addresses_of
from resources.environment import child_environment
from resources.settings import PROJECT_ROOT

PEERS = PROJECT_ROOT / ".venv-peers" / "bin"
HERE = Path(__file__).parent / "peers"
SNAKEMAKE_CORES = 2


def wrapper_loop(platform: Platform, jobs: int) -> float:
    """Run the earlier wrapper's loop; gives seconds, without the start of its process."""
    done = _run([_program("python", PEERS), HERE / "wrapper_loop.py", str(jobs)], platform, HERE)
    return float(json.loads(done)["seconds"])


def snakemake(platform: Platform, jobs: int, *, peers: Path = PEERS) -> float:
    """Let Snakemake run a rule for each job; gives seconds, its start included.

    Parameters
    ----------
    platform : Platform
        Its inbox has the jobs.
    jobs : int
        Number of jobs.
    peers : Path
        Folder of the environment of the peers.
    """
    with tempfile.TemporaryDirectory(prefix="snakemake-") as folder:
        given = [f"jobs={jobs}", f"python={_program('python', peers)}", f"script={HERE / 'one_job.py'}"]
        words = ["--snakefile", HERE / "Snakefile", "--cores", str(SNAKEMAKE_CORES), "--quiet", "all", "--nolock"]
        begin = time.perf_counter()
        _run([_program("snakemake", peers), *words, "--config", *given], platform, Path(folder))
        return time.perf_counter() - begin


def _program(name: str, peers: Path) -> Path:
    """Return a program of the peers' environment."""
    path = peers / name
    if not path.exists():
        msg = f"There is no {path}: `make bench` makes the environment of the peers from requirements/peers.txt."
        raise ServerUnavailableError(msg)
    return path


def _run(command: list[str | Path], platform: Platform, folder: Path) -> str:
    """Run a peer against the same servers; gives what it printed."""
    servers = addresses_of(str(platform.settings.analysis_home))
    environment = child_environment(
        AWS_ACCESS_KEY_ID=servers.access_key,
        AWS_SECRET_ACCESS_KEY=servers.secret_key,
        AWS_EC2_METADATA_DISABLED="true",
        BENCH_S3=servers.s3_endpoint,
        BENCH_MONGO=servers.docdb_uri,
        BENCH_BUCKET=platform.settings.analysis_bucket,
        BENCH_PREFIX=f"snakemake/{uuid.uuid4().hex}",
        PATH=f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}",
        HOME=str(platform.settings.analysis_home),
    )
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-4000:])
        msg = f"{Path(command[0]).name} ended with exit code {done.returncode}: see above"
        raise ServerUnavailableError(msg)
    return done.stdout
