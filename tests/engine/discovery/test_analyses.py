"""A file that defines no analysis fails the load, and says which file, where and why."""

import sys

import pytest

from domain.errors import AnalysisFileError
from engine.discovery.analyses import ANALYSES_FOLDER, find_analyses, load_analysis

FORM = '''"""Adds."""

from pathlib import Path

from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel
{imports}

class Parameters(ParametersModel):
    """What to add."""

    number: int = Field(default=1, {description})


class Outputs(OutputsModel):
    """The sum."""

    total: int = Field(description="The sum.")


{run}


ANALYSIS = Analysis({name}, version="1", owners=("team:t",), parameters=Parameters, outputs=Outputs, run={called}{more})
'''
RUN = '''def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Add."""
    return Outputs(total=parameters.number + 1)'''
PARTS = {
    "imports": "",
    "description": 'description="One number."',
    "run": RUN,
    "name": 'name="adds"',
    "called": "run",
    "more": "",
}


@pytest.fixture
def write(tmp_path):
    """Give a function that writes an analysis file, some parts of which are wrong."""
    folder = tmp_path / f"lab_{tmp_path.name}"
    folder.mkdir()

    def write(file="adds.py", text=None, **parts):
        path = folder / file
        path.write_text(FORM.format(**{**PARTS, **parts}) if text is None else text, encoding="utf-8")
        return path

    yield write
    for name in [n for n in sys.modules if n.startswith(f"{folder.name}.")]:
        del sys.modules[name]


def test_the_platforms_own_analyses_load():
    entries = find_analyses()
    assert "unit_quality" in entries
    for name, entry in entries.items():
        assert entry.path == ANALYSES_FOLDER / f"{name}.py"
        assert entry.code_version.startswith(f"{entry.analysis.version}+")
        assert entry.description


def test_every_file_without_an_underscore_is_an_analysis(write):
    path = write()
    write("more.py", name='name="more"')
    write("_machinery.py", text="raise RuntimeError")
    write("notes.txt", text="no python")
    found = find_analyses(path.parent)
    assert sorted(found) == ["adds", "more"]
    assert found["adds"].description == "Adds."
    assert found["adds"].path == path


@pytest.mark.parametrize(
    ("parts", "line", "told"),
    [
        (
            {"imports": "import no_such_module"},
            8,
            "cannot be imported: there is no module `no_such_module`. Correct the name, or add the package",
        ),
        ({"imports": "x ="}, 8, "cannot be imported: SyntaxError"),
        ({"imports": "1 / 0"}, 8, "cannot be imported: ZeroDivisionError: division by zero"),
        ({"imports": "raise SystemExit(2)"}, 8, "cannot be imported: SystemExit: 2"),
        ({"name": 'name="Wrong Name"'}, 27, "ANALYSIS = Analysis(...) is wrong: `name`: String should match pattern"),
        ({"name": ""}, None, "SyntaxError"),
        ({"more": ", wrokers=2"}, 27, "`wrokers`: Extra inputs are not permitted"),
        ({"description": ""}, 27, "Parameters model `Parameters` cannot be used"),
        (
            {"name": 'name="subtracts"'},
            27,
            'ANALYSIS is named `subtracts`; it must be named like its file: write name="a',
        ),
        ({"called": "lambda job, parameters, results_dir: None"}, 27, "must be a plain function written with `def`"),
        ({"called": "print"}, None, "must be a plain function written with `def`"),
        ({"run": "def run(job, parameters): ..."}, 22, "it takes (job, parameters)"),
        ({"run": "def run(job, parameters, *, results_dir): ..."}, 22, "it takes (job, parameters, results_dir)"),
        ({"run": "def run(job, parameters, results_dir) -> None: ..."}, 22, "it must return Outputs"),
        ({"run": "def run(job, parameters, results_dir) -> 'None': ..."}, 22, "it must return Outputs"),
        ({"more": ', packages=("no_such_package",)'}, 27, "helper package `no_such_package`, which is not installed"),
        ({"more": ', packages=("no_such.package",)'}, 27, "helper package `no_such.package`, which is not installed"),
    ],
)
def test_a_broken_file_is_named_with_line_and_reason(write, parts, line, told):
    path = write(**parts)
    with pytest.raises(AnalysisFileError) as caught:
        load_analysis(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: " if line else f"{path}:")
    assert told in message


@pytest.mark.parametrize(
    ("text", "found"), [("", "found nothing"), ("ANALYSIS = 'adds'", "found a str"), ("ANALYSIS = None", "nothing")]
)
def test_a_file_without_an_analysis_is_named(write, text, found):
    with pytest.raises(AnalysisFileError, match=rf"adds\.py(:1)?: expected `ANALYSIS = Analysis.* {found}"):
        load_analysis(write(text=text))


def test_the_line_is_the_analysis_files_when_the_fault_is_deeper(write):
    path = write(imports="import json; json.loads('{')")
    with pytest.raises(AnalysisFileError, match=r"adds\.py:8: cannot be imported: JSONDecodeError"):
        load_analysis(path)


def test_every_broken_file_is_named_at_once(write):
    write("one.py", text="import no_such_module")
    write("two.py", text="ANALYSIS = 2")
    with pytest.raises(AnalysisFileError) as caught:
        find_analyses(write().parent)
    first, second = str(caught.value).splitlines()
    assert "one.py:1: cannot be imported" in first
    assert "two.py:1: expected" in second


def test_a_file_that_is_no_python_is_refused(tmp_path):
    (tmp_path / "adds.txt").write_text("", encoding="utf-8")
    with pytest.raises(AnalysisFileError, match="is not a Python file"):
        load_analysis(tmp_path / "adds.txt")


def test_a_folder_of_the_same_name_is_refused_because_only_one_would_be_imported(write):
    path = write()
    path.with_suffix("").mkdir()
    with pytest.raises(AnalysisFileError, match="a folder beside it has the same name"):
        load_analysis(path)


def test_an_error_names_the_analysis_and_its_file(write):
    path = write(run="run = 1")
    with pytest.raises(AnalysisFileError) as raised:
        load_analysis(path)
    assert (raised.value.analysis, raised.value.location) == ("adds", str(path))
    with pytest.raises(AnalysisFileError) as raised:
        find_analyses(path.parent)
    assert raised.value.location == str(path.parent)


@pytest.mark.parametrize("policy", ["later_delay_s=1e300", "delay_s=float('inf')", "backoff=float('nan')"])
def test_a_retry_policy_with_absurd_waits_fails_the_load(write, policy):
    imports = "from domain.analysis import Retry\n"
    with pytest.raises(AnalysisFileError, match=policy.partition("=")[0]):
        load_analysis(write(imports=imports, more=f", retry=Retry({policy})"))
