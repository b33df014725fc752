"""What happens inside a worker process; called here directly, because a process that is killed measures nothing."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from domain.errors import InputChangedError, InputError
from domain.failures import JobError
from engine.discovery.analyses import load_analysis
from engine.worker.output_redaction import LOG_TAIL_BYTES, log_tail
from engine.worker.process import TEXT_CHARACTERS, end_group, execute
from engine.worker.task import Task, Work, load_once, run_task
from resources.inputs.reader import InputReader
from resources.nwb_files.names import name_of
from resources.s3.server import S3Server

LAB = Path(__file__).parents[2] / "lab"

READS = '''"""Reads its inputs, and does with them what it is told."""

import os
from pathlib import Path

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel


class Parameters(ParametersModel):
    """How."""

    mode: str = Field(default="", description="What to do.")


class Outputs(OutputsModel):
    """What was found."""

    count: int = Field(description="Number of inputs.")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Read."""
    paths = job.open_inputs()
    assert job.open_inputs() == paths
    if parameters.mode == "change":
        paths[0].resolve().write_text("changed while it was read", encoding="utf-8")
    if parameters.mode.startswith("replace"):
        file = paths[0].resolve()
        found = file.stat()
        other = file.with_suffix(".new")
        other.write_text("other", encoding="utf-8")
        os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
        other.replace(file)
    if parameters.mode == "replace and fail":
        raise ValueError("half of one file, half of another")
    return Outputs(count=len(paths))


ANALYSIS = Analysis(name="reads", version="1", owners=("team:t",), parameters=Parameters, outputs=Outputs, run=run)
'''


@pytest.fixture
def task(tmp_path):
    """Give a function that makes a task in a new folder."""

    def make(file=LAB / "misbehave.py", locations=(), files=(), **parameters):
        load_once.cache_clear()
        entry = load_analysis(file)
        values = entry.analysis.parameters(**parameters).model_dump()
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return Task(file, entry.code_version, locations, files, values, folder, InputReader(S3Server()))

    return make


@pytest.fixture
def reads(tmp_path, task):
    """Give a function that makes a task over local input files."""
    path = tmp_path / "lab_reads" / "reads.py"
    path.parent.mkdir()
    path.write_text(READS, encoding="utf-8")
    inputs = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for file in inputs:
        file.write_text("input", encoding="utf-8")
    return lambda **more: task(path, **{"files": tuple(f.as_uri() for f in inputs), **more})


def test_a_job_brings_back_outputs_and_what_it_used(task):
    work = execute(task(number=5))
    assert isinstance(work, Work)
    assert work.outputs == {"number": 5, "measure": None, "strict": 0.0}
    assert work.started <= work.ended
    assert work.resources.cpu_s >= 0
    assert work.resources.peak_memory_bytes > 10_000_000
    assert work.resources.cpu_cores >= 1


def test_everything_that_is_printed_goes_to_the_jobs_log_alone(task, capfd):
    made = task(mode="print")
    before = Path.cwd()
    execute(made)
    assert Path.cwd() == before
    assert tempfile.tempdir is None
    assert set(made.log.read_text().splitlines()) == {"printed by the analysis", "printed by a child"}
    sys.stdout.write("after\n")
    sys.stdout.flush()
    assert capfd.readouterr().out == "after\n"
    assert made.pid_file.read_text() == str(os.getpid())


@pytest.mark.parametrize(
    ("mode", "kind", "permanent", "message"),
    [
        ("raise", "exception", True, "ValueError: the scientist's own error"),
        ("transient_once", "exception", False, "ConnectionError: try again"),
        ("return_none", "output", True, "`run` of `misbehave` must return Outputs; it returned NoneType."),
        ("exits_politely", "exception", True, "SystemExit: enough"),
    ],
)
def test_what_user_code_raises_comes_back_as_an_error(task, tmp_path, mode, kind, permanent, message):
    made = task(mode=mode, note=str(tmp_path / "note"))
    error = execute(made)
    assert isinstance(error, JobError)
    assert (error.kind, error.permanent, error.message) == (kind, permanent, message)
    assert error.traceback in made.log.read_text()


def test_endless_and_broken_text_is_made_storable(task):
    error = execute(task(mode="unprintable"))
    for text in (error.message, error.traceback):
        text.encode()
        assert len(text) < TEXT_CHARACTERS + 100
        assert "characters left out ...]" in text
    assert error.message.startswith("ValueError: ?xxx")


def test_inputs_are_opened_once_and_described(reads):
    work = execute(reads())
    assert work.outputs == {"count": 2}
    assert [fact.bytes for fact in work.inputs] == [5, 5]
    assert work.sessions == (), "a text file names no session"


def test_an_input_that_changed_meanwhile_is_a_transient_fault(reads):
    error = execute(reads(mode="change"))
    assert (error.permanent, error.kind) == (False, "input")
    assert "one.txt" in error.message
    assert InputChangedError.__name__ not in error.message


@pytest.mark.parametrize("mode", ["replace", "replace and fail"])
def test_an_input_that_was_replaced_by_one_of_the_same_size_and_time_is_a_transient_fault(reads, mode):
    error = execute(reads(mode=mode))
    assert (error.permanent, error.kind) == (False, "input")
    assert "one.txt was replaced while the job ran" in error.message


def test_an_nwb_file_is_named_as_the_job_names_it(tmp_path, task):
    path = tmp_path / "lab_opens" / "opens.py"
    path.parent.mkdir()
    opens = READS.replace('name="reads"', 'name="opens"').replace(
        "    return Outputs",
        "    from resources.nwb import describe_session\n    describe_session(paths[0])\n    return Outputs",
    )
    path.write_text(opens, encoding="utf-8")
    (tmp_path / "empty.nwb").touch()
    url = (tmp_path / "empty.nwb").as_uri()
    error = execute(task(path, files=(url,)))
    assert error.message.startswith(f"`{url}` is not an NWB file")
    assert name_of(tmp_path / "empty.nwb") == str(tmp_path / "empty.nwb"), "names are those of one job"


def test_a_missing_input_is_reported_without_the_platforms_frames_in_front(reads, tmp_path):
    error = execute(reads(files=((tmp_path / "none.nwb").as_uri(),)))
    assert (error.kind, error.permanent) == ("input", True)
    assert not error.message.startswith(InputError.__name__)
    first_frame = error.traceback.splitlines()[1]
    assert "reads.py" in first_frame


def test_a_location_is_resolved_to_its_single_file(reads, tmp_path):
    (tmp_path / "asset").mkdir()
    error = execute(reads(files=(), locations=((tmp_path / "asset").as_uri(),)))
    assert "No NWB file" in error.message


def test_another_code_than_the_run_announced_is_not_executed(task, tmp_path):
    made = task(note=str(tmp_path / "note"))
    changed = Task(**{**made.__dict__, "code_version": "1+000000000000"})
    error = execute(changed)
    assert "changed while the run was using it: the run announced 1+000000000000" in error.message
    assert not error.permanent
    assert not (tmp_path / "note").exists()


def test_a_stream_that_user_code_closed_is_not_an_obstacle_to_it_nor_to_the_next_job(task):
    assert isinstance(execute(task(mode="closes_stdout")), Work)
    made = task(mode="print")
    assert isinstance(execute(made), Work)
    assert "printed by the analysis" in made.log.read_text()


def test_what_c_code_printed_is_in_the_log_of_its_own_job(task):
    made = task(mode="prints_from_c")
    execute(made)
    assert made.log.read_text() == "printed by C\n"


def test_the_tail_of_a_log_is_kept(tmp_path):
    log = tmp_path / "log"
    assert log_tail(log) == ""
    log.write_bytes(b"first" + b"\0\xff" * LOG_TAIL_BYTES + b"last")
    tail = log_tail(log)
    assert tail.endswith("last")
    assert "first" not in tail
    assert "\0" not in tail


def test_a_worker_ends_its_whole_group_when_it_is_to_end(monkeypatch):
    ended = []
    monkeypatch.setattr(os, "killpg", lambda *args: ended.append(args))
    end_group(signal.SIGTERM, None)
    assert ended == [(os.getpgrp(), signal.SIGKILL)]


def test_a_worker_is_a_group_of_its_own_that_ignores_interrupts():
    code = (
        "import os, signal; from engine.worker.process import prepare_worker, end_group; prepare_worker();"
        "assert os.getpgrp() == os.getpid(); assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN;"
        "assert signal.getsignal(signal.SIGTERM) is end_group"
    )
    subprocess.run([sys.executable, "-c", code], cwd=LAB.parents[1], check=True)


def test_what_a_job_raises_names_the_analysis(reads):
    made = reads()
    made.results.mkdir()
    Path(made.files[0].removeprefix("file://")).unlink()
    with pytest.raises(InputError) as raised:
        run_task(made, alone=False)
    assert (raised.value.analysis, raised.value.location) == ("reads", made.files[0])
