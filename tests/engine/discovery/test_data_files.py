"""A data file is part of the code version, or the analysis does not load."""

from pathlib import Path

import pytest

from domain.errors import AnalysisFileError
from engine.discovery.analyses import load_analysis
from engine.discovery.source import newly_covered, version_of

ROOT = Path(__file__).parents[3]
READS = "from pathlib import Path\nTABLE = Path(__file__).parent / {}\n"


@pytest.mark.parametrize(
    ("name", "text", "file"),
    [
        ("table.csv", "'table.csv'", "lab/table.csv"),
        ("data", "'data/table.csv'", "lab/data/table.csv"),
        ("data/table.csv", "'data/table.csv'", "lab/data/table.csv"),
        ("methods/table.csv", "'methods/*.csv'", "lab/methods/table.csv"),
        ("of_data_test:table.csv", "'of_data_test/table.csv'", "of_data_test/table.csv"),
    ],
)
def test_a_file_that_the_code_names_is_declared_and_counts(analysis, checkout, name, text, file):
    path = checkout({"lab/double.py": READS.format(text), file: "1", "of_data_test/__init__.py": ""})
    with pytest.raises(
        AnalysisFileError, match=r"`double` \(.*, line 2\) names the file .*table\.csv, which is not part"
    ):
        version_of(analysis, path)
    declared = analysis.model_copy(update={"data_files": (name,)})
    before = version_of(declared, path)
    checkout({file: "2"})
    assert version_of(declared, path) != before


def test_a_helper_that_names_a_file_is_rejected_too(analysis, checkout):
    path = checkout(
        {
            "lab/double.py": "from lab.methods import helper\n",
            "lab/methods/helper.py": READS.format("'table.csv'"),
            "lab/table.csv": "1",
        }
    )
    with pytest.raises(AnalysisFileError, match=r"`lab\.methods\.helper` .* names the file .*/lab/table\.csv"):
        version_of(analysis, path)


@pytest.mark.parametrize(
    "text",
    [
        '"""table.csv"""\n',
        "ANALYSIS = Analysis(figure='table.csv')\n",
        "from lab import helper\nx = 'helper.py'\n",
        "x = 'other.csv', '../table.csv', '/table.csv', 'table', '', 'a.\\0', '**.csv', '.', '*.' + 'x' * 300\n",
        f"x = 'table.csv{'x' * 300}'\n",
    ],
)
def test_other_texts_are_not_files(analysis, checkout, text):
    path = checkout({"lab/double.py": text, "lab/table.csv": "1", "lab/helper.py": ""})
    version_of(analysis, path)


def test_a_declared_result_file_beside_the_code_is_not_an_input(analysis, checkout):
    path = checkout({"lab/double.py": READS.format("'table.csv'"), "lab/table.csv": "1"})
    for declared in ({"figure": "table.csv"}, {"tables": {"table.csv": analysis.outputs}}):
        version_of(analysis.model_copy(update=declared), path)


def test_the_files_of_a_command_count_already(checkout):
    path = checkout({"lab/double.py": "x = 'scripts/count.sh'\n", "lab/scripts/count.sh": ""})
    shell = load_analysis(ROOT / "tests" / "lab_commands" / "shell.py").analysis
    version_of(shell, path)


def test_a_declared_package_counts_with_its_data(analysis, checkout):
    path = checkout({"lab/double.py": "", "of_data_test/__init__.py": READS.format("'deep' / f'{k}.csv'")})
    checkout({"of_data_test/deep/1.csv": "1", "of_data_test/README.md": "1", "of_data_test/a.pyi": "1"})
    declared = analysis.model_copy(update={"packages": ("of_data_test",)})
    before = version_of(declared, path)
    checkout({"of_data_test/README.md": "2", "of_data_test/a.pyi": "2", "of_data_test/__pycache__/x.pyc": "2"})
    assert version_of(declared, path) == before
    checkout({"of_data_test/deep/1.csv": "2"})
    assert version_of(declared, path) != before


def test_a_declared_module_counts_without_the_files_beside_it(analysis, checkout):
    path = checkout({"lab/double.py": "", "of_data_test_one.py": "", "table.csv": ""})
    declared = analysis.model_copy(update={"packages": ("of_data_test_one",)})
    before = version_of(declared, path)
    checkout({"table.csv": "2"})
    assert version_of(declared, path) == before
    with_file = analysis.model_copy(update={"data_files": ("of_data_test_one:table.csv",)})
    assert version_of(with_file, path) != before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none.csv", "none.csv` does not exist|none.csv does not exist"),
        ("empty", "is an empty folder"),
        ("of_no_such_package:table.csv", "helper package `of_no_such_package`, which is not installed"),
    ],
)
def test_a_declared_file_that_is_missing_is_named(analysis, checkout, name, reason):
    path = checkout({"lab/double.py": ""})
    (path.parent / "empty").mkdir()
    declared = analysis.model_copy(update={"data_files": (name,)})
    with pytest.raises(AnalysisFileError, match=reason):
        version_of(declared, path)


@pytest.mark.parametrize("name", ["../table.csv", "/table.csv", "a//b", "./a", "p:../a", "p:/a", ""])
def test_a_data_file_elsewhere_is_rejected(analysis, name):
    with pytest.raises((AnalysisFileError, ValueError), match="data_files"):
        type(analysis)(**{**dict(analysis), "data_files": (name,)})


def test_what_is_covered_since_release_0_2_is_listed(analysis, checkout):
    path = checkout(
        {
            "lab/double.py": "from lab import _fit\nANALYSIS = Analysis(run=exact)\n",
            "lab/_fit.py": "",
            "lab/table.csv": "",
        }
    )
    declared = analysis.model_copy(update={"data_files": ("table.csv",)})
    assert newly_covered(declared, path) == ("`run=exact`", "module `lab._fit`", "file `table.csv`")
    assert newly_covered(analysis.model_copy(update={"code_identity": "version"}), path) == ()
