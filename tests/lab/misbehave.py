"""Misbehaves as its parameters say, for tests that a failing job does not affect others."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel, Retry

Mode = Literal[
    "fine",
    "raise",
    "transient_once",
    "segfault",
    "kill",
    "exit",
    "hang",
    "grandchild",
    "return_none",
    "not_finite",
    "not_finite_refused",
    "symlink",
    "reserved_name",
    "print",
    "sleep",
    "figure",
    "takes_log_name",
    "unprintable",
    "closes_stdout",
    "exits_politely",
    "float32",
    "prints_from_c",
]


class Parameters(ParametersModel):
    """How to behave."""

    mode: Mode = Field(default="fine", description="What to do.")
    number: int = Field(default=0, description="Tells jobs apart.")
    note: str = Field(default="", description="A file to leave a mark in.")
    seconds: float = Field(default=0.0, description="How long to sleep (s).")


class Outputs(OutputsModel):
    """What came of it."""

    number: int = Field(description="The number that was given.")
    measure: float | None = Field(default=None, description="A measure that may be undefined.")
    strict: float = Field(default=0.0, description="A measure that may not.")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs | dict[str, object] | None:  # noqa: C901, PLR0912, PLR0915
    """Behave as the parameters say."""
    if parameters.note:
        with Path(parameters.note).open("a", encoding="utf-8") as note:
            note.write(f"{parameters.number} {os.getpid()}\n")
    (results_dir / "number.txt").write_text(str(parameters.number), encoding="utf-8")
    match parameters.mode:
        case "raise":
            return _fails_here()
        case "transient_once":
            marks = Path(parameters.note).read_text(encoding="utf-8").splitlines()
            if len(marks) == 1:
                message = "try again"
                raise ConnectionError(message)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(600)
        case "grandchild":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", parameters.note])
            time.sleep(600)
        case "return_none":
            return None
        case "not_finite":
            return Outputs(number=parameters.number, measure=float("nan"))
        case "not_finite_refused":
            return Outputs(number=parameters.number, strict=float("inf"))
        case "symlink":
            (results_dir / "link").symlink_to("/etc/hostname")
        case "reserved_name":
            (results_dir / "manifest.json").write_text("{}", encoding="utf-8")
        case "print":
            sys.stdout.write("printed by the analysis\n")
            os.system("echo printed by a child")  # noqa: S605 - fixed words, for a child that prints
        case "sleep":
            time.sleep(parameters.seconds)
        case "figure":
            noise = np.random.default_rng(parameters.number).integers(0, 255, (600, 800, 3), dtype=np.uint8)
            Image.fromarray(noise).save(results_dir / "figure.png")
        case "takes_log_name":
            (results_dir / "analysis.log").write_text("mine", encoding="utf-8")
        case "unprintable":
            raise ValueError("\udce9" + "x" * 20_000_000)
        case "closes_stdout":
            sys.stdout.close()
        case "exits_politely":
            sys.exit("enough")
        case "prints_from_c":
            ctypes.CDLL(None).puts(b"printed by C")
        case "float32":
            return {"number": parameters.number, "measure": np.float32("nan")}
    return Outputs(number=parameters.number)


def _fails_here() -> None:
    """Raise from a separate function, so that the traceback has several frames."""
    message = "the scientist's own error"
    raise ValueError(message)


ANALYSIS = Analysis(
    name="misbehave",
    version="1",
    owners=("team:tests",),
    parameters=Parameters,
    outputs=Outputs,
    run=run,
    workers=2,
    time_limit_s=3.0,
    figure="figure.png",
    retry=Retry(max_attempts=2, delay_s=0.1),
)
