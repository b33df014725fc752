"""Whatever user code leaves in its folder or says through its outputs: the job fails alone, and nothing outside is published."""

import json
import os
import socket
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from domain.analysis import Analysis, OutputsModel, ParametersModel
from domain.errors import OutputError
from domain.job.state import JobError
from engine.execution.publish import result_files
from engine.worker.command import (
    CommandFailedError,
    CommandJob,
    failure_of,
    outputs_of,
    pipes_messages,
    print_log,
)
from engine.worker.output_redaction import cleaned_error
from engine.worker.outputs import checked_outputs
from engine.worker.task import Task
from resources.inputs.reader import InputReader
from resources.nwb import describe_session
from resources.result_store.names import check_paths
from resources.s3.server import S3Server
from tests.hostile import strategies
from tests.hostile.sizes import fuzz

SECRET = "what is outside stays outside"  # noqa: S105  planted to be looked for


class Anything(OutputsModel):
    """Outputs of any kind."""

    text: str = Field(default="", description="A text.")
    number: float | None = Field(default=None, description="A number (no unit).")
    table: dict[str, Any] | list[Any] | None = Field(default=None, description="Values.")


ANALYSIS = Analysis(
    name="any", version="1", owners=("team:tests",), parameters=ParametersModel, outputs=Anything, run=lambda *_: None
)


@pytest.fixture
def task(tmp_path):
    """Give a job's private folder, with its results and its log, and a secret beside it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET, encoding="utf-8")
    folder = tmp_path / "job"
    (folder / "results").mkdir(parents=True)
    (folder / "analysis.log").write_text("log\n", encoding="utf-8")
    return Task(
        analysis_file=tmp_path / "any.py",
        code_version="1",
        locations=(),
        files=(),
        parameters={},
        folder=folder,
        inputs=InputReader(S3Server()),
    )


def _plant(kind, results, outside):
    """Put something into the results that is no file of theirs."""
    place = results / "x"
    match kind:
        case "link to a file":
            place.symlink_to(outside / "secret.txt")
        case "link to a folder":
            place.symlink_to(outside)
        case "link to itself":
            place.symlink_to("x")
        case "dangling":
            place.symlink_to("nowhere")
        case "device":
            place.symlink_to("/dev/zero")
        case "fifo":
            os.mkfifo(place)
        case "socket":
            here = os.open(results, os.O_RDONLY)
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(f"/proc/self/fd/{here}/x")
            os.close(here)
        case "folder replaced":
            results.rmdir()
            results.symlink_to(outside)
        case "folder removed":
            results.rmdir()
        case "folder is a file":
            results.rmdir()
            results.write_text("x", encoding="utf-8")


@pytest.mark.parametrize(
    "kind",
    [
        *("link to a file", "link to a folder", "link to itself", "dangling", "device", "fifo", "socket"),
        *("folder replaced", "folder removed", "folder is a file"),
    ],
)
def test_only_ordinary_files_of_the_folder_are_results(task, kind):
    _plant(kind, task.results, task.folder.parent / "outside")
    with pytest.raises(OutputError):
        result_files(task.results)


@pytest.mark.parametrize("target", ["file", "hard link", "device", "fifo", "folder", "missing"])
def test_a_log_that_was_replaced_is_not_read(task, target):
    secret = task.folder.parent / "outside" / "secret.txt"
    task.log.unlink()
    match target:
        case "file":
            task.log.symlink_to(secret)
        case "hard link":
            task.log.hardlink_to(secret)
        case "device":
            task.log.symlink_to("/dev/zero")
        case "fifo":
            os.mkfifo(task.log)
        case "folder":
            task.log.mkdir()
    found = cleaned_error(JobError(kind="exception", message="m", permanent=True), task)
    assert SECRET not in found.log
    assert target == "missing" or task.log.is_file()
    assert secret.read_text(encoding="utf-8") == SECRET


def test_a_large_log_is_rewritten_without_secrets_and_without_other_changes(task, monkeypatch):
    monkeypatch.setenv("LAB_TOKEN", "tokentokentoken1")
    line = b"\xff\x00 units \xe2\x82\xac tokentokentoken1 end\r\n"
    task.log.write_bytes(line * 200_000)
    cleaned_error(JobError(kind="exception", message="tokentokentoken1", permanent=True), task)
    assert task.log.read_bytes() == line.replace(b"tokentokentoken1", b"[secret removed]") * 200_000


@fuzz(100)
@given(
    strategies.values | st.dictionaries(st.sampled_from(["text", "number", "table", "$gt", "a.b"]), strategies.values)
)
@example({"table": [{"\ud800": None}]})
def test_any_outputs_are_stored_as_json_or_refused(value):
    try:
        outputs, _ = checked_outputs(ANALYSIS, value)
    except OutputError as error:
        assert len(str(error)) < 20_000
    else:
        assert json.loads(json.dumps(outputs, allow_nan=False)) == outputs
        assert not [key for key in outputs if "$" in key or "." in key]


@pytest.mark.parametrize("value", ["x" * 10_000_000, "\ud800", 10**400])
def test_outputs_that_no_record_holds_are_refused(value):
    with pytest.raises(OutputError) as raised:
        checked_outputs(ANALYSIS, {"text": value} if isinstance(value, str) else {"table": [value]})
    assert len(str(raised.value)) < 1000


def test_outputs_nested_without_end_are_refused():
    deep = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(OutputError):
        checked_outputs(ANALYSIS, {"table": deep})


@pytest.fixture
def command_job(task):
    """Give what a command is told."""
    return CommandJob("any", "", (), (), (), {}, task.folder, task.results)


def _message(method, **params):
    """Write one message of Dagster Pipes."""
    return json.dumps({"method": method, "params": params}).encode() + b"\n"


HOSTILE_MESSAGES = {
    "nothing": b"",
    "no JSON": b"\x00\xff{{{\n" * 100,
    "deep": b"[" * 100_000 + b"\n",
    "deep object": b'{"method":"log","params":' * 5_000 + b"\n",
    "long": b'{"method":"log","params":{"message":"' + b"x" * 10_000_000 + b'"}}\n',
    "odd types": b'{"method":["log"],"params":[]}\n{"method":"log","params":7}\n{"method":"closed","params":{"exception":{"stack":5}}}\n',
    "many": _message("report_custom_message", payload={"outputs": {"text": "x" * 1000}}) * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE_MESSAGES)
def test_messages_of_a_command_are_read_within_bounds(command_job, name, capsys):
    path = command_job.folder / "messages"
    path.write_bytes(HOSTILE_MESSAGES[name] + _message("log", level="INFO", message="the last one"))
    begin = time.process_time()
    reported = print_log(pipes_messages(path))
    assert time.process_time() - begin < 20
    assert "the last one" in capsys.readouterr().err
    assert len(reported) <= 4
    assert isinstance(failure_of("x", 1, reported), CommandFailedError)


@pytest.mark.parametrize("kind", ["link", "device", "fifo", "folder"])
def test_what_a_command_puts_in_the_place_of_its_answers_is_not_read(command_job, kind):
    (command_job.folder.parent / "outside" / "outputs.json").write_text('{"text": "outside"}', encoding="utf-8")
    for name in ("messages", "outputs.json"):
        place = command_job.folder / name
        if kind == "link":
            place.symlink_to(command_job.folder.parent / "outside" / "outputs.json")
        elif kind == "device":
            place.symlink_to("/dev/zero")
        elif kind == "fifo":
            os.mkfifo(place)
        else:
            place.mkdir()
    assert list(pipes_messages(command_job.folder / "messages")) == []
    with pytest.raises(OutputError):
        outputs_of(command_job, [])


@fuzz(100)
@given(st.binary(max_size=200) | strategies.values.map(lambda v: json.dumps(v).encode()))
def test_any_answer_of_a_command_is_an_object_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("answer")
    (folder / "outputs.json").write_bytes(data)
    job = CommandJob("any", "", (), (), (), {}, folder, folder)
    try:
        assert isinstance(outputs_of(job, []), dict)
    except OutputError as error:
        assert len(str(error)) < 2000


@fuzz(200)
@given(st.lists(st.text(max_size=300) | st.sampled_from(strategies.SPECIAL), max_size=5))
def test_any_name_of_a_result_stays_below_its_folder(names):
    try:
        check_paths(names)
    except OutputError:
        return
    for name in names:
        parts = name.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert all(len(part.encode()) <= 255 for part in parts)
        assert name.isprintable() or not any(ord(c) < 32 for c in name)


def test_words_of_an_nwb_header_are_cut_and_tables_in_their_place_are_not_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        file["general/session_id"] = "s" * 10_000_000
        file.create_dataset("general/subject/subject_id", shape=(10**12,), chunks=(1024,), dtype="u1")
        file["identifier"] = "x"
    found = describe_session(path)
    assert len(found.session_name) == 500
    assert found.subject_id is None
