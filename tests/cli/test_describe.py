"""What is said of an analysis."""

from pathlib import Path

import pytest

from cli.describe.run import describe
from domain.errors import AnalysisFileError, UnknownJobError

TESTS = Path(__file__).parents[1]


def test_parameters_outputs_and_checks_are_described():
    found = describe("double", TESTS / "lab")
    assert (found.name, found.language, found.owners) == ("double", "Python", ("team:tests",))
    assert found.code_version.startswith("1+")
    assert found.text.startswith("Doubles a number")
    (number,) = found.parameters
    assert (number.name, number.kind, number.unit, number.default) == ("number", "number", "no unit", "1.0")
    assert found.outputs[0].meaning == "Twice the number."
    assert found.checks == {"is_positive": "The double is above zero."}
    assert found.as_dict()["parameters"][0]["unit"] == "no unit"


def test_a_command_is_described_by_its_language():
    assert describe("shell", TESTS / "lab_commands").language == "Bourne shell"


def test_a_mistake_in_another_file_is_not_an_obstacle(tmp_path):
    (tmp_path / "double.py").write_text((TESTS / "lab" / "double.py").read_text(), encoding="utf-8")
    (tmp_path / "broken.py").write_text("import no_such_module\n", encoding="utf-8")
    assert describe("double", tmp_path).name == "double"
    with pytest.raises(AnalysisFileError, match=r"broken\.py:1"):
        describe("broken", tmp_path)
    with pytest.raises(UnknownJobError, match="The analyses are: broken, double"):
        describe("nothing", tmp_path)
