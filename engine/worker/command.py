"""Runs an analysis that is a command, inside the job's worker process.

The command reads the job from ``job.json`` or the context of Dagster Pipes, and writes outputs to ``outputs.json`` or a
message of Dagster Pipes, and files to the results folder. ``dagster_pipes`` is the small library for external
processes; its protocol does not need Dagster in this process, which therefore starts quickly.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, DAGSTER_PIPES_MESSAGES_ENV_VAR, encode_param

from domain.command import TRY_AGAIN, Command
from domain.errors import CodeChangedError, OutputError
from domain.failures import FailureKind
from domain.job.metadata import JobMetadata
from domain.retry import TRANSIENT_KINDS
from resources.environment import inherited

JOB_FILE, OUTPUTS_FILE = "job.json", "outputs.json"
_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM", "LD_LIBRARY_PATH")
_MAX_OUTPUTS_BYTES = 1024 * 1024
_MAX_MESSAGE_BYTES = 2 * _MAX_OUTPUTS_BYTES
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes elsewhere


class CommandFailedError(Exception):
    """The command of an analysis failed.

    Parameters
    ----------
    message : str
        Sentence with the command and how it ended.
    kind : str
        Kind of the failure, see `domain.failures`.
    transient : bool
        Whether the same call may succeed later.
    traceback : str
        Traceback or message from the command.
    """

    def __init__(
        self, message: str, *, kind: FailureKind = "exception", transient: bool = False, traceback: str = ""
    ) -> None:
        super().__init__(message)
        self.kind, self.traceback = kind, traceback
        self.transient = transient or kind in TRANSIENT_KINDS


@dataclass(frozen=True)
class CommandJob:
    """The job as the command receives it.

    Attributes
    ----------
    analysis : str
        Name of the analysis.
    identity : str
        Expected digest of the command.
    inputs : tuple of Path
        Local paths of the inputs.
    locations, files : tuple of str
        URLs of the inputs: data assets and single files.
    parameters : dict
        Validated parameters, as JSON values.
    folder, results : Path
        Private folder of the job, and folder for result files.
    metadata : JobMetadata or None
        Metadata that the analysis declares.
    """

    analysis: str
    identity: str
    inputs: tuple[Path, ...]
    locations: tuple[str, ...]
    files: tuple[str, ...]
    parameters: dict[str, Any]
    folder: Path
    results: Path
    metadata: JobMetadata | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``job.json``."""
        return {
            "analysis": self.analysis,
            "inputs": [str(path) for path in self.inputs],
            "locations": list(self.locations),
            "files": list(self.files),
            "parameters": self.parameters,
            "results": str(self.results),
            "outputs": str(self.folder / OUTPUTS_FILE),
            **self._metadata(),
        }

    def _metadata(self) -> dict[str, Any]:
        """Return what the analysis declares of the metadata of its inputs."""
        found = self.metadata
        values = {} if found is None else {"metadata_records": found.records, "group": found.group}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class CommandEnd:
    """The outputs of a successful command."""

    outputs: dict[str, Any]
    peak_memory_bytes: int


def read_files(command: Command, folder: Path) -> dict[str, bytes]:
    """Read the files that a command declares.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If a file does not exist, or is a directory.
    """
    return {name: (folder / name).read_bytes() for name in command.files}


def run_command(command: Command, source_folder: Path, job: CommandJob) -> CommandEnd:
    """Run a command and return its outputs.

    Parameters
    ----------
    command : Command
        Declared command of the analysis.
    source_folder : Path
        Folder of the analysis file and the declared files.
    job : CommandJob
        Inputs, parameters and folders, which must exist.

    Returns
    -------
    CommandEnd
        Outputs as JSON values, and peak memory.

    Raises
    ------
    CommandFailedError
        If it cannot be started, or its exit code is not 0.
    CodeChangedError
        If its files have changed since the start of the run.
    OutputError
        If it wrote no outputs, or invalid ones.
    """
    code = _copy_code(command, source_folder, job)
    (job.folder / JOB_FILE).write_text(json.dumps(job.as_json(), indent=1, ensure_ascii=False), encoding="utf-8")
    messages = job.folder / "pipes-messages.jsonl"
    messages.touch()
    argv = command.argv(code=str(code), folder=str(job.folder), results=str(job.results))
    try:
        process = subprocess.Popen(  # noqa: S603  no shell, and the arguments come from the analysis file
            argv, env=_environment(command, job, messages), stdin=subprocess.DEVNULL
        )
    except OSError as error:
        msg = f"the command `{argv[0]}` cannot be started: {error.strerror}. Install it, or name it by its full path."
        raise CommandFailedError(msg) from error
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    latest = print_log(pipes_messages(messages))
    if process.returncode != 0:
        raise failure_of(argv[0], process.returncode, latest)
    return CommandEnd(outputs_of(job, latest), usage.ru_maxrss * _PEAK_UNIT)


def _copy_code(command: Command, source_folder: Path, job: CommandJob) -> Path:
    """Copy the declared files into the job's folder; raise if they have changed."""
    contents = read_files(command, source_folder)
    if command.identity(contents) != job.identity:
        msg = f"The files of `{job.analysis}` changed while the run was using them. The next run uses the new ones."
        raise CodeChangedError(msg, analysis=job.analysis)
    code = job.folder / "code"
    for name, content in contents.items():
        target = code / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod((source_folder / name).stat().st_mode)
    return code


def _environment(command: Command, job: CommandJob, messages: Path) -> dict[str, str]:
    """Return the environment of the command, without the platform's credentials."""
    scratch = str(Path.cwd())
    return {
        **inherited((*_PASSED_ON, *command.pass_variables)),
        **command.environment,
        "TMPDIR": scratch,
        "ANALYSIS_JOB": str(job.folder / JOB_FILE),
        "ANALYSIS_OUTPUTS": str(job.folder / OUTPUTS_FILE),
        "RESULTS_DIR": str(job.results),
        DAGSTER_PIPES_CONTEXT_ENV_VAR: encode_param({"data": _pipes_context(job)}),
        DAGSTER_PIPES_MESSAGES_ENV_VAR: encode_param({"path": str(messages)}),
    }


def _pipes_context(job: CommandJob) -> dict[str, Any]:
    """Return the Dagster Pipes context for the command; the job is in its ``extras``."""
    return {
        "asset_keys": [f"analysis/{job.analysis}"],
        "code_version_by_asset_key": None,
        "provenance_by_asset_key": None,
        "partition_key": None,
        "partition_key_range": None,
        "partition_time_window": None,
        "run_id": "",
        "job_name": None,
        "retry_number": 0,
        "extras": job.as_json(),
    }


def pipes_messages(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the Pipes messages of a process; invalid lines, cut off by a crash or far too long, are left out."""
    if path.is_symlink() or not path.is_file():  # the command replaced it with something else
        return
    with path.open("rb") as file:
        while line := file.readline(_MAX_MESSAGE_BYTES):
            try:
                message = json.loads(line.decode(errors="replace"))
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict) and isinstance(message.get("method"), str):
                yield message


def _params(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a message."""
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def print_log(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write log messages from Pipes to the job's log; return the latest message of each other kind."""
    latest: dict[tuple[str, bool], dict[str, Any]] = {}
    for message in messages:
        params = _params(message)
        if message["method"] == "log":
            sys.stderr.write(f"{params.get('level', 'INFO')} {params.get('message', '')}\n")
        elif message["method"] in {"closed", "report_custom_message"}:
            payload = params.get("payload")
            latest[message["method"], isinstance(payload, dict) and "outputs" in payload] = message
    return list(latest.values())


def failure_of(program: str, code: int, messages: list[dict[str, Any]]) -> CommandFailedError:
    """Return the error of a failed command."""
    closed = next((_params(m) for m in reversed(messages) if m["method"] == "closed"), {})
    raised = closed.get("exception")
    if isinstance(raised, dict):
        stack = raised["stack"] if isinstance(raised.get("stack"), list) else []
        message = str(raised.get("message", "")).strip()
        return CommandFailedError(message, traceback="".join(map(str, stack)) + message + "\n")
    if code == -signal.SIGKILL:
        msg = f"`{program}` was killed (SIGKILL), most often for want of memory"
        return CommandFailedError(msg, kind="killed")
    if code < 0:
        return CommandFailedError(f"`{program}` crashed with {signal.Signals(-code).name}", kind="crash")
    if code == TRY_AGAIN:
        msg = f"`{program}` ended with exit code {TRY_AGAIN}, which requests a retry"
        return CommandFailedError(msg, transient=True)
    return CommandFailedError(f"`{program}` ended with exit code {code}; the end of its output is in the log")


def outputs_of(job: CommandJob, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the outputs of a command, from its file or message."""
    path = job.folder / OUTPUTS_FILE
    if path.is_file() and not path.is_symlink():
        found = _read_outputs(path)
    else:
        payloads = [_params(m).get("payload") for m in messages if m["method"] == "report_custom_message"]
        given = [p["outputs"] for p in payloads if isinstance(p, dict) and "outputs" in p]
        found = given[-1] if given else None
    if not isinstance(found, dict):
        msg = (
            "The command ended well but gave no outputs: write one JSON object to the file that ANALYSIS_OUTPUTS names, "
            'or report the custom message {"outputs": {…}} through Dagster Pipes.'
        )
        raise OutputError(msg, analysis=job.analysis)
    return found


def _read_outputs(path: Path) -> Any:
    """Parse ``outputs.json``; numbers that are not finite are accepted here and validated with the outputs."""
    if path.stat().st_size > _MAX_OUTPUTS_BYTES:
        msg = f"{path.name} holds {path.stat().st_size} bytes, more than 1 MiB: write tables into files of the results."
        raise OutputError(msg, location=str(path))
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        msg = f"{path.name} is not JSON: {error}."
        raise OutputError(msg, location=str(path)) from None
