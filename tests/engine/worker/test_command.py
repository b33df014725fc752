"""Analyses in other languages and environments: a shell script, and Python in an environment of its own."""

import json
import shutil
import sys
import textwrap
import venv
from pathlib import Path

import dagster_pipes
import psutil
import pytest

from domain.errors import AnalysisFileError
from domain.failures import JobError
from domain.job.job_file import Job
from domain.job.metadata import JobMetadata
from domain.job.state import JobState
from domain.job.stored import Source, ingest
from engine.discovery.analyses import load_analysis
from engine.worker.command import CommandJob
from engine.worker.process import execute
from engine.worker.task import Task, load_once
from resources.inputs.reader import InputReader
from resources.s3.server import S3Server

LAB = Path(__file__).parents[2] / "lab_commands"


@pytest.fixture
def shell(make_platform):
    """Give the platform of an analysis that is a shell script."""
    return make_platform(LAB / "shell.py")


@pytest.fixture
def take(shell, tmp_path):
    """Give a function that stores a job over two text files."""
    files = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for file in files:
        file.write_text("a\nb\n", encoding="utf-8")

    def take(**parameters):
        job = Job(file_location=tuple(f.as_uri() for f in files), distributed_parameters=parameters)
        stored, _ = ingest(shell.entry.analysis, job, name="test", fixed={})
        shell.services.ledger.requests.store([(stored, Source(name="test"))], code_version=shell.entry.code_version)
        return stored.job_key

    return take


@pytest.fixture
def execute_shell(tmp_path):
    """Give a function that runs the shell script in this process's own child, without a pool."""

    def run(**parameters):
        load_once.cache_clear()
        entry = load_analysis(LAB / "shell.py")
        (folder := tmp_path / "job").mkdir()
        values = entry.analysis.parameters(**parameters).model_dump()
        task = Task(entry.path, entry.code_version, (), (), values, folder, InputReader(S3Server()))
        return execute(task), task

    return run


def stored_text(platform, key, name):
    """Read a file of a job's result."""
    return platform.services.results.get_bytes(platform.record(key)["location"], name).decode()


def test_a_shell_script_is_published_with_provenance_like_a_function(shell, take, marks):
    key = take(note=marks[0])
    outcome = shell.work(key)[key]
    assert outcome.kind == "computed"
    found = outcome.provenance
    assert found.outputs == {"lines": 4, "ratio": 0.5}
    assert (found.code.language, found.code.language_version) == ("Bourne shell", "the shell")
    assert [Path(i.url).name for i in found.inputs] == ["one.txt", "two.txt"]
    assert found.resources.peak_memory_bytes > 100_000
    assert stored_text(shell, key, "lines.txt") == "4\n"
    assert "counting lines, mode fine" in stored_text(shell, key, "analysis.log")
    assert shell.record(key)["processing"]["data_processes"][0]["code"]["language"] == "Bourne shell"
    assert shell.work(key)[key].kind == "reused"
    assert marks[1]() == 1


@pytest.mark.parametrize(
    ("mode", "kind", "permanent", "reported"),
    [
        ("fail", "exception", True, "`sh` ended with exit code 3"),
        ("kill", "killed", False, "`sh` was killed (SIGKILL)"),
        ("again", "exception", False, "`sh` ended with exit code 75, which requests a retry"),
        ("crash", "crash", True, "`sh` crashed with SIGSEGV"),
        ("silent", "output", True, "gave no outputs: write one JSON object to the file that ANALYSIS_OUTPUTS names"),
        ("list", "output", True, "gave no outputs: write one JSON object"),
        ("broken", "output", True, "outputs.json is not JSON"),
        ("large", "output", True, "outputs.json holds 2000000 bytes, more than 1 MiB"),
    ],
)
def test_a_command_that_fails_says_how(execute_shell, mode, kind, permanent, reported):
    error, task = execute_shell(mode=mode)
    assert (error.kind, error.permanent) == (kind, permanent)
    assert reported in error.message
    assert f"mode {mode}" in task.log.read_text()


def test_a_command_that_fails_fails_alone(shell, take):
    bad, good = take(mode="crash"), take()
    outcomes = shell.work(bad, good)
    assert outcomes[bad].error.kind == "crash"
    assert "mode crash" in outcomes[bad].error.log
    assert outcomes[good].kind == "computed"
    assert shell.job(bad).state is JobState.FAILED


def test_what_a_command_says_last_is_in_the_log(shell, take):
    key = take(mode="fail")
    assert shell.work(key)[key].error.log.endswith(
        "no such method\n`sh` ended with exit code 3; the end of its output is in the log\n"
    )


def test_an_exit_code_asks_to_try_again(shell, take, marks):
    key = take(mode="again", note=marks[0])
    assert shell.work(key)[key].kind == "computed"
    assert marks[1]() == 2


def test_a_command_is_ended_at_the_time_limit_with_everything_it_started(shell, take):
    key = take(mode="hang")
    error = shell.work(key)[key].error
    assert error.kind == "time_limit"
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "600"]]


def test_a_number_that_is_not_finite_is_null_and_named(shell, take):
    key = take(mode="nan")
    found = shell.work(key)[key].provenance
    assert found.outputs == {"lines": 0, "ratio": None}
    assert found.not_finite == ("ratio",)


def test_a_command_sees_what_it_declares_of_the_environment_and_no_secret(shell, take, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    monkeypatch.setenv("DOCDB_URI", "mongodb://user:the-secret@host/")
    monkeypatch.setenv("WANTED", "yes")
    key = take(mode="env")
    assert shell.work(key)[key].kind == "computed"
    text = stored_text(shell, key, "env.txt")
    names = {line.partition("=")[0] for line in text.splitlines()}
    assert {"UNIT", "WANTED", "PATH", "RESULTS_DIR", "ANALYSIS_JOB", "ANALYSIS_OUTPUTS", "TMPDIR"} <= names
    assert not {"AWS_SECRET_ACCESS_KEY", "DOCDB_URI"} & names
    assert "the-secret" not in text


# -- the code version of a command ---------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    """Copy the analysis to a folder where it may be changed."""
    folder = tmp_path / "lab_copy"
    shutil.copytree(LAB, folder)
    return folder / "shell.py"


def test_every_byte_of_a_declared_file_is_part_of_the_code_version(copy):
    first = load_analysis(copy).code_version
    assert first == load_analysis(LAB / "shell.py").code_version
    script = copy.parent / "scripts" / "count.sh"
    script.write_text(script.read_text() + "# a remark\n", encoding="utf-8")
    assert load_analysis(copy).code_version != first
    assert first.startswith("1+")


def test_a_word_is_part_of_the_code_version_and_the_form_is_not(copy):
    first = load_analysis(copy).code_version
    text = copy.read_text()
    copy.write_text(text.replace("time_limit_s=4", "time_limit_s=5"))
    assert load_analysis(copy).code_version == first
    copy.write_text(text.replace("{results}/lines.txt", "{results}/counted.txt"))
    assert load_analysis(copy).code_version != first


def test_a_declared_file_that_is_not_there_stops_the_load(copy):
    (copy.parent / "scripts" / "count.sh").unlink()
    with pytest.raises(AnalysisFileError, match=r"shell\.py:23: the command declares the file `.*count\.sh`"):
        load_analysis(copy)


def test_what_runs_is_what_was_hashed(copy, tmp_path):
    load_once.cache_clear()
    entry = load_analysis(copy)
    (folder := tmp_path / "job").mkdir()
    parameters = entry.analysis.parameters().model_dump()
    task = Task(copy, entry.code_version, (), (), parameters, folder, InputReader(S3Server()))
    load_once(copy)
    script = copy.parent / "scripts" / "count.sh"
    script.write_text("echo changed\n", encoding="utf-8")
    error = execute(task)
    assert isinstance(error, JobError)
    assert error.kind == "code_changed"
    assert not error.permanent


# -- Python in an environment of its own, through Dagster Pipes ----------------------------------------------------

FORM = '''"""Python elsewhere."""

from pydantic import Field

from domain.analysis import Analysis, OutputsModel, ParametersModel
from domain.command import Command


class Parameters(ParametersModel):
    """How."""

    number: int = Field(default=2, description="A number (no unit).")


class Outputs(OutputsModel):
    """What."""

    double: int = Field(description="Twice the number (no unit).")
    prefix: str = Field(description="The environment.")


ANALYSIS = Analysis(
    name="elsewhere",
    version="1",
    owners=("team:tests",),
    parameters=Parameters,
    outputs=Outputs,
    run=Command(words=({python!r}, "scripts/double.py"), files=("scripts/double.py",), language="Python"),
)
'''
PIPED = """
import sys
from pathlib import Path
from dagster_pipes import open_dagster_pipes

def fails():
    raise ValueError("the script's own error")

with open_dagster_pipes() as pipes:
    job = pipes.extras
    pipes.log.info("doubling")
    (Path(job["results"]) / "number.txt").write_text(str(job["parameters"]["number"]))
    if job["parameters"]["number"] < 0:
        fails()
    outputs = {"double": 2 * job["parameters"]["number"], "prefix": sys.prefix}
    pipes.report_custom_message({"outputs": outputs})
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Make a Python environment that holds the library of Dagster Pipes and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    shutil.copytree(Path(dagster_pipes.__file__).parent, site / "dagster_pipes")
    return folder


@pytest.fixture
def elsewhere(environment, tmp_path):
    """Give a function that runs a script of that environment as an analysis."""
    (folder := tmp_path / "lab_elsewhere" / "scripts").mkdir(parents=True)
    path = folder.parent / "elsewhere.py"
    path.write_text(FORM.format(python=str(environment / "bin" / "python")), encoding="utf-8")

    def run(script, **parameters):
        (folder / "double.py").write_text(textwrap.dedent(script), encoding="utf-8")
        load_once.cache_clear()
        entry = load_analysis(path)
        job_folder = tmp_path / f"job{len(list(tmp_path.iterdir()))}"
        job_folder.mkdir()
        values = entry.analysis.parameters(**parameters).model_dump()
        task = Task(path, entry.code_version, (), (), values, job_folder, InputReader(S3Server()))
        return execute(task), task

    yield run
    sys.modules.pop("lab_elsewhere.elsewhere", None)


def test_a_script_in_its_own_environment_answers_through_dagster_pipes(elsewhere, environment):
    work, task = elsewhere(PIPED, number=21)
    assert work.outputs == {"double": 42, "prefix": str(environment)}
    assert (task.results / "number.txt").read_text() == "21"
    assert "INFO doubling" in task.log.read_text()


def test_its_exception_comes_back_with_its_own_traceback(elsewhere):
    error, task = elsewhere(PIPED, number=-1)
    assert error.kind == "exception"
    assert error.message == "ValueError: the script's own error"
    assert "in fails" in error.traceback
    assert error.traceback.endswith("ValueError: the script's own error\n")
    assert "in fails" in task.log.read_text()


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        (None, {}),
        (JobMetadata(("s3://b/a",), ({"_id": "r"},)), {"metadata_records": ({"_id": "r"},)}),
        (JobMetadata(("s3://b/a",), group={"subject": "7"}), {"group": {"subject": "7"}}),
    ],
)
def test_a_command_receives_the_metadata_that_the_analysis_declares(tmp_path, metadata, shown):
    job = CommandJob("shell", "0", (), (), (), {}, tmp_path, tmp_path / "results", metadata)
    found = job.as_json()
    assert {name: found[name] for name in found.keys() & {"metadata_records", "group"}} == shown


def test_a_script_without_the_library_answers_by_a_file(elsewhere):
    script = """
        import json, os, sys
        job = json.load(open(os.environ["ANALYSIS_JOB"]))
        outputs = {"double": 2 * job["parameters"]["number"], "prefix": sys.prefix}
        json.dump(outputs, open(os.environ["ANALYSIS_OUTPUTS"], "w"))
    """
    work, task = elsewhere(script)
    assert work.outputs["double"] == 4
    job = json.loads((task.folder / "job.json").read_text())
    assert job == {
        "analysis": "elsewhere",
        "inputs": [],
        "locations": [],
        "files": [],
        "parameters": {"number": 2},
        "results": str(task.results),
        "outputs": str(task.folder / "outputs.json"),
    }


def test_messages_that_are_none_are_passed_over(elsewhere):
    script = """
        import json, os, sys
        from dagster_pipes import decode_param
        path = decode_param(os.environ["DAGSTER_PIPES_MESSAGES"])["path"]
        with open(path, "a") as messages:
            messages.write("cut off {\\n[]\\n" + json.dumps({"method": "log", "params": None}) + "\\n")
            payload = {"payload": {"outputs": {"double": 1, "prefix": ""}}}
            messages.write(json.dumps({"method": "report_custom_message", "params": payload}) + "\\n")
    """
    work, _ = elsewhere(script)
    assert work.outputs == {"double": 1, "prefix": ""}


def test_a_program_that_is_not_there_says_what_to_do(elsewhere, tmp_path):
    path = tmp_path / "lab_elsewhere" / "elsewhere.py"
    path.write_text(FORM.format(python="no-such-program"), encoding="utf-8")
    error, _ = elsewhere("")
    assert error.message == (
        "the command `no-such-program` cannot be started: No such file or directory. Install it, or name it by its full path."
    )
    assert error.permanent
