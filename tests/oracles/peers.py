"""Run the programs that compute an analysis's numbers with other packages, in the environment of the peers.

That environment (``.venv-peers``) holds nothing of this project, so no number can come from our own code.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

PEERS = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
needs_peers = pytest.mark.skipif(not PEERS.exists(), reason="there is no .venv-peers: make .venv-peers/.installed")


def computed_by_peer(program: str, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a program of this folder answers to each question."""
    path = Path(__file__).with_name(program)
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    said = subprocess.run(
        [PEERS, "-W", "ignore", path, json.dumps(questions, default=str)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    hint = "If a package is missing, update the environment: make .venv-peers/.installed."
    assert said.returncode == 0, f"{program} failed. {hint}\n{said.stderr}"
    answers: list[dict[str, Any]] = json.loads(said.stdout.splitlines()[-1])
    return answers
