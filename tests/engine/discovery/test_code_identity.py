import ast
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import AnalysisFileError
from engine.discovery.code_identity import FIELDS, code_version, imported_names, merged_texts, source_digest

QUICK = settings(max_examples=100, deadline=None, database=None)
ROOT = Path(__file__).resolve().parents[3]
GOLDEN_FILE = ROOT / "tests" / "golden" / "source_digests.json"
GOLDEN = json.loads(GOLDEN_FILE.read_text("utf-8"))
READABLE = [case for case in GOLDEN if tuple(case["python"]) <= sys.version_info[:2]]
ANALYSIS = GOLDEN[0]["sources"]["mean_rate"]
EVERYTHING = GOLDEN[1]["sources"]["m"]

PROGRAM = """
import json, sys
from pathlib import Path
from engine.discovery.code_identity import source_digest
cases = json.loads(Path(sys.argv[1]).read_text("utf-8"))
print(json.dumps({
    case["what"]: source_digest(case["sources"])
    for case in cases
    if tuple(case["python"]) <= sys.version_info[:2]
}))
"""


def digest(source):
    return source_digest({"m": source})


def replaced(old, new):
    assert ANALYSIS.count(old) >= 1
    return ANALYSIS.replace(old, new)


@pytest.mark.parametrize("case", READABLE, ids=lambda case: case["what"])
def test_the_digests_of_the_golden_sources_never_change(case):
    assert source_digest(case["sources"]) == case["digest"]


def interpreter(version):
    installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return str(installed[-1]) if installed else shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_supported_python_gives_the_golden_digests(version, tmp_path):
    program = interpreter(version)
    if program is None:
        pytest.skip(f"Python {version} is not installed here")
    shutil.copytree(Path(rfc8785.__file__).parent, tmp_path / "rfc8785")
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [program, "-W", "error", "-c", PROGRAM, str(GOLDEN_FILE)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    readable = {c["what"]: c["digest"] for c in GOLDEN if c["python"] <= [int(part) for part in version.split(".")]}
    assert json.loads(done.stdout) == readable


@pytest.mark.parametrize("source", [ANALYSIS, EVERYTHING], ids=["analysis", "everything"])
def test_formatting_and_comments_change_no_digest(source):
    unparsed = ast.unparse(ast.parse(source))
    assert unparsed != source
    assert digest(unparsed) == digest(source)
    assert digest("# a comment\n\n" + source.replace("\n", "  # why\n", 1)) == digest(source)
    assert digest("\ufeff" + source.replace("\n", "\r\n")) == digest(source)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Mean rate of each unit, in hertz."""', '"""Another."""'),
        ('"""Mean rate of each unit, in hertz."""', ""),
        ('    """What it takes."""\n', ""),
        ('    """Count, then divide."""\n', '    """Longer.\n\n    Much longer.\n    """\n'),
        ("  # seconds", ""),
        ('description="Bin width."', 'description="Width of a bin," " in seconds."'),
        ('version="1.0.0"', 'version="2.0.0", time_limit_s=5'),
        ("ANALYSIS = Analysis(", "ANALYSIS: Analysis = Analysis("),
        ('f"{rate:.3f} Hz at {parameters.bin_s!r} s\\n"', "f'{rate:.3f} Hz' f' at {parameters.bin_s!r}' ' s\\n'"),
        ("0.05", "5e-2"),
    ],
)
def test_what_does_not_change_results_changes_no_digest(old, new):
    assert digest(replaced(old, new)) == digest(ANALYSIS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.05", "0.06"),
        ("t.size > 1", "t.size > True"),
        ("t.size > 1", "t.size > 1.0"),
        ("t.size > 1", "t.size >= 1"),
        ("t[-1] - t[0]", "t[-1] + t[0]"),
        ("gt=0", "ge=0"),
        ("np.mean", "np.median"),
        (".3f", ".4f"),
        ("!r", "!s"),
        ("import numpy as np", "import numpy"),
        ('    """Count, then divide."""\n', '    """Count, then divide."""\n    "Another string."\n'),
        ("ANALYSIS = Analysis(", "OTHER = ANALYSIS = Analysis("),
        ("ANALYSIS = Analysis(", "FORM = Analysis("),
        ('Field(description="Mean rate.")', "Field()"),
    ],
)
def test_what_may_change_results_changes_the_digest(old, new):
    assert digest(replaced(old, new)) != digest(ANALYSIS)


def test_only_the_form_of_the_module_is_left_out():
    assert digest("class A:\n    ANALYSIS = 1") != digest("class A:\n    ANALYSIS = 2")
    assert digest("class A(B, description=1): pass") != digest("class A(B, description=2): pass")
    assert digest("description = 1") != digest("description = 2")


def test_the_names_of_modules_count_and_their_order_does_not():
    one, two = "a = 1", "a = 2"
    assert source_digest({"x": one, "y": two}) == source_digest({"y": two, "x": one})
    assert source_digest({"x": one, "y": two}) != source_digest({"x": two, "y": one})
    assert source_digest({"x": one}) != source_digest({"y": one})


CONSTANTS = (
    st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.booleans() | st.none() | st.just(...)
)


@QUICK
@given(CONSTANTS, CONSTANTS)
def test_constants_differ_by_type_and_value(one, other):
    tagged = [(type(value), repr(value)) for value in (one, other)]
    sources = [ast.unparse(ast.Assign([ast.Name("x")], ast.Constant(value), lineno=1)) for value in (one, other)]
    sources = ["x = 'nan'" if "nan" in source else source for source in sources]
    assume_same = tagged[0] == tagged[1] or sources[0] == sources[1]
    assert (digest(sources[0]) == digest(sources[1])) is assume_same


@QUICK
@given(st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "@", "<<", ">>", "&", "|", "^"]), st.integers(0, 9))
def test_operators_and_operands_count(operator, operand):
    wanted = operator == "+" and operand == 1
    assert (digest(f"x = a {operator} {operand}") == digest("x = a + 1")) is wanted


def test_a_source_that_is_nested_deeply_or_long_has_a_digest():
    chain = "x = " + " + ".join(["1"] * 800)
    branches = "if a: pass\n" + "elif b: pass\n" * 60
    huge = f"x = 0x{'f' * 9000}"
    assert len({digest(chain), digest(branches), digest(huge), digest(huge + "0")}) == 4


def test_texts_of_an_f_string_are_joined_and_empty_ones_dropped():
    assert digest('x = f"a{{" "b" f"{c}" ""') == digest('x = f"a{{b{c}"')
    parts = [ast.Constant(""), ast.Constant("a"), ast.Constant("b"), ast.Constant("")]
    assert [part.value for part in merged_texts(parts)] == ["ab"]
    assert digest('x = f"{c:}"') != digest('x = f"{c}"')
    assert digest('x = f"abc"') != digest('x = "abc"')


def test_warnings_about_the_style_of_a_source_are_not_raised():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert digest('x = "\\d"') == digest('x = r"\\d"')


@pytest.mark.parametrize("read", [digest, lambda source: imported_names(source, module="analysis_assets.m")])
@pytest.mark.parametrize(
    "source", ["x = 1\nif a = b: pass", "x = 1\n\x00", "x = '\ud800'", "(" * 5000, "-" * 50_000 + "1"]
)
def test_a_source_that_is_not_python_is_refused_with_file_and_line(read, source):
    with pytest.raises(AnalysisFileError, match=r"File (analysis_assets/)?m\.py, line \d"):
        read(source)


def test_a_syntax_error_is_told_with_its_line_and_column():
    with pytest.raises(AnalysisFileError, match=r"File analysis_assets/bad\.py, line 2, column 4: not valid Python"):
        source_digest({"analysis_assets.bad": "x = 1\nif a = b: pass"})


@pytest.mark.parametrize("change", ["unknown node", "unknown field"])
def test_syntax_that_is_newer_than_the_digest_is_refused_and_not_ignored(change):
    fields = {**FIELDS, "ImportFrom": ("module", "names")}
    if change == "unknown node":
        del fields["ImportFrom"]
    with pytest.raises(AnalysisFileError, match=r"File m\.py, line 2: the syntax `ImportFrom(\.level)?` is newer than"):
        source_digest({"m": "x = 1\nfrom . import y"}, fields=fields)


def test_the_table_knows_every_node_and_field_that_this_python_makes():
    made = [node for case in READABLE for text in case["sources"].values() for node in ast.walk(ast.parse(text))]
    ignored = {"ctx", "kind", "type_comment", "type_ignores"}
    known = {name for name in FIELDS if hasattr(ast, name)}
    assert {type(node).__name__ for node in made} - known <= {"Load", "Store", "Del"}
    assert known - {type(node).__name__ for node in made} <= {"TemplateStr", "Interpolation"}
    for name in known:
        assert set(getattr(ast, name)._fields) - ignored <= {*FIELDS[name]}, name


def test_a_code_version_is_the_declared_version_and_twelve_characters_of_the_digest():
    assert code_version("1.2.0", "3f786850e387550f") == "1.2.0+3f786850e387"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c as d", {"a", "a.b", "c"}),
        ("from a.b import c, d as e", {"a", "a.b", "a.b.c", "a.b.d"}),
        ("from a import *", {"a"}),
        ("def f():\n    if x:\n        import a", {"a"}),
        ("from . import s", {"p", "p.q", "p.q.s"}),
        ("from .s import t", {"p", "p.q", "p.q.s", "p.q.s.t"}),
        ("from .. import s", {"p", "p.s"}),
        ("x = 'import a'", set()),
    ],
)
def test_imports_are_found_anywhere_and_relative_ones_are_resolved(source, names):
    assert imported_names(source, module="p.q.m") == names


def test_relative_imports_of_a_package_start_at_the_package_itself():
    assert imported_names("from .s import t", module="p.q", is_package=True) == {"p", "p.q", "p.q.s", "p.q.s.t"}


def test_a_relative_import_that_leaves_the_top_package_is_refused():
    with pytest.raises(AnalysisFileError, match=r"File p/m\.py, line 2: the relative import leaves the top package"):
        imported_names("\nfrom .. import x", module="p.m")
