"""Which parts of a module are labels: everything that changes what is computed changes the digest."""

import json
from pathlib import Path

import pytest

from domain.analysis import Analysis
from engine.discovery.analyses import load_analysis
from engine.discovery.code_identity import code_version, earlier_digest, form_additions, source_digest
from engine.discovery.labels import FORM_BEHAVIOR, FORM_LABELS

ROOT = Path(__file__).parents[3]
GOLDEN = json.loads((ROOT / "tests" / "golden" / "code_versions.json").read_text())
FUNCTIONS = "def fast(job, parameters, results_dir): ...\ndef exact(job, parameters, results_dir): ...\n"
MODELS = "class Parameters: ...\nclass Outputs: ...\nclass Strict(Parameters): ...\nclass Rounded(Outputs): ...\n"
WRAPPED = (
    "from domain.wrapper import from_wrapper\nclass Spec: ...\nclass Out: ...\ndef go(dispatch, parameters): ...\n"
)
MODULE = f"from domain.analysis import Analysis\nfrom domain.command import Command\n{MODELS}{FUNCTIONS}"
PLAIN = "name='a', version='1', parameters=Parameters, outputs=Outputs, run=fast"


def digest(source, **others):
    return source_digest({"m": source, **others})


def form(arguments, module=MODULE):
    return f"{module}ANALYSIS = Analysis({arguments})\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("run=fast", "run=exact"),
        ("run=made(fast, 1)", "run=made(fast, 2)"),
        ("run=partial(fast, k=1)", "run=partial(fast, k=2)"),
        ("run=functions['fast']", "run=functions['exact']"),
        ("run=lab.fast", "run=lab.exact"),
        ("run=fast", "run=fast, working_folder='results'"),
        ("run=fast, working_folder=scratch", "run=fast, working_folder=other"),
        ("run=fast, working_folder='scratch'", "run=fast, working_folder=scratch"),
        ("parameters=Parameters", "parameters=Strict"),
        ("outputs=Outputs", "outputs=Rounded"),
        ("**fast_form", "**exact_form"),
        ("run=fast, later=1", "run=fast, later=2"),
    ],
)
def test_what_a_form_selects_changes_the_digest(one, other):
    assert digest(form(one)) != digest(form(other))


@pytest.mark.parametrize(
    "labels",
    [
        "",
        "owners=('a',)",
        "retry=Retry(max_attempts=5), breaker=None, time_limit_s=5, workers=2, batch_size=3",
        "figure='a.png', tables={'a.csv': Row}, tags={'a': 'b'}, checks=(check,), example={'a': 1}",
        "packages=('p',), data_files=('a.csv',), code_identity='source', working_folder='scratch'",
    ],
)
def test_the_labels_of_a_form_change_no_digest(labels):
    assert digest(form(f"{PLAIN}, {labels}")) == digest(MODULE) == digest(form(""))


def test_every_argument_of_an_analysis_is_a_label_or_changes_what_is_computed():
    assert Analysis.model_fields.keys() == FORM_LABELS | FORM_BEHAVIOR
    assert not FORM_LABELS & FORM_BEHAVIOR


@pytest.mark.parametrize(
    ("module", "run", "models"),
    [
        ("def run(job, parameters, results_dir): ...\ndef other(job, parameters, results_dir): ...\n", "run", ""),
        ("def helper(x): ...\ndef go(job, parameters, results_dir): ...\n", "go", ""),
        ("def go(a, b, c): ...\ndef helper(x): ...\n", "go", ""),
        ("from lab.code import run\ndef go(job, parameters, results_dir): ...\n", "run", ""),
        ("from my import run_analysis\ndef go(job, parameters): ...\n", "run_analysis", ""),
        ("from my import FitOutputs, FitSpecification\n", "run", "parameters=FitSpecification, outputs=FitOutputs, "),
        ("class Fit: ...\nclass Made: ...\ndef run(): ...\n", "run", "parameters=Fit, outputs=Made, "),
        ("class Made: ...\nclass Parameters: ...\n", "run", "parameters=Parameters, outputs=Made, "),
    ],
)
def test_a_plain_form_adds_nothing(module, run, models):
    assert digest(form(f"{models}run={run}", module)) == digest(module)


@pytest.mark.parametrize(
    ("form", "same"),
    [
        ("from_wrapper(Spec, Out, go, open_inputs=False, name='a')", True),
        ("from_wrapper(Spec, output_model=Out, run_function=go, open_inputs=False)", True),
        ("from_wrapper(Spec, Out, go)", False),
        ("from_wrapper(Out, Spec, go, open_inputs=False)", False),
        ("from_wrapper(Spec, Out, other, open_inputs=False)", False),
        ("from_wrapper(*parts, open_inputs=False)", False),
        ("Analysis(parameters=Spec, outputs=Out, run=go)", False),
    ],
)
def test_a_form_of_the_earlier_wrapper_counts_likewise(form, same):
    assert (digest(f"{WRAPPED}ANALYSIS = {form}\n") == digest(WRAPPED)) is same


def test_one_of_several_imported_models_counts():
    imports = "from my import AParameters, BParameters\n"
    assert (
        len(
            {digest(form(f"parameters={name}", imports)) for name in ("AParameters", "BParameters")} | {digest(imports)}
        )
        == 3
    )


def test_a_wrapped_function_that_reads_local_files_is_plain_if_they_are_opened():
    reads = WRAPPED.replace("...\n", "...\n", 1) + "def inner(d): return d.file_location\n"
    assert digest(f"{reads}ANALYSIS = from_wrapper(Spec, Out, go)\n") == digest(reads)
    assert digest(f"{reads}ANALYSIS = from_wrapper(Spec, Out, go, open_inputs=False)\n") != digest(reads)


def test_a_command_is_left_to_its_own_digest_and_another_function_of_that_name_is_not():
    assert digest(form("run=Command(words=('a',))")) == digest(form("run=Command(words=('b',))"))
    own = "def Command(k): ...\n"
    assert digest(form("run=Command(1)", own)) != digest(form("run=Command(2)", own))


@pytest.mark.parametrize(
    "module",
    [
        "limit = ANALYSIS.time_limit_s\n",
        "from lab.other import ANALYSIS as there\n",
        "import lab.other as there\nx = there.ANALYSIS\n",
        "x = globals()['ANALYSIS']\n",
    ],
)
def test_a_form_that_code_reads_counts_completely(module):
    one, other = (form(f"run=run, time_limit_s={limit}", "def run(): ...\n") for limit in (1, 2))
    assert digest(one) == digest(other)
    assert digest(one, helper=module) != digest(other, helper=module)


@pytest.mark.parametrize(
    "form", ["ANALYSIS = made({})", "ANALYSIS = lab.Analysis(run=run, workers={})", "ANALYSIS = A()\nANALYSIS = B({})"]
)
def test_a_form_that_is_made_in_another_way_counts_completely(form):
    assert digest(form.format(1)) != digest(form.format(2))


@pytest.mark.parametrize(
    ("imports", "call", "label"),
    [
        ("from pydantic import Field\n", "Field(description={})", True),
        ("from pydantic import Field as F\n", "F(description={})", True),
        ("import pydantic as p\n", "p.Field(description={})", True),
        ("import pydantic\n", "pydantic.Field(1, description={})", True),
        ("from lab.helper import *\n", "Field(description={})", True),
        ("from lab.helper import *\n", "field(description=k({}))", False),
        ("from lab.helper import Field\n", "Field(description={})", False),
        ("def Field(description): ...\n", "Field(description={})", False),
        ("from lab.helper import scale\n", "scale(1, description={})", False),
        ("from pydantic import Field\n", "scale(Field(), description={})", False),
        ("from pydantic import Field\ndef f(Field):\n    return 1\n", "Field(description={})", False),
    ],
)
def test_a_description_is_a_label_in_a_field_only(imports, call, label):
    one, other = (f"{imports}x = {call.format(value)}\n" for value in ("'2'", "'3'"))
    assert (digest(one) == digest(other)) is label


@pytest.mark.parametrize(
    "reader",
    ["x = __doc__", "x = run.__doc__", "import inspect\nx = inspect.getdoc(run)", "x = getattr(run, '__doc__')"],
)
def test_a_docstring_that_code_reads_is_data(reader):
    one, other = (f'def run():\n    """{text}"""\n' for text in ("A", "B"))
    assert digest(one) == digest(other)
    assert digest(one, helper=reader) != digest(other, helper=reader)


def test_comments_count_where_code_reads_its_own_source():
    reader = "from inspect import getsource\nx = getsource(run)\n"
    assert digest(f"{reader}y = 1  # A\n") != digest(f"{reader}y = 1  # B\n")


def test_what_counts_in_a_form_is_listed():
    assert form_additions("m", {"m": form("run=exact, working_folder='results', workers=2")}) == [
        "run=exact",
        "working_folder='results'",
    ]
    assert form_additions("m", {"m": form(PLAIN)}) == form_additions("m", {"m": "x = 1"}) == []
    assert form_additions("m", {"m": "ANALYSIS = made()"}) == ["ANALYSIS"]


def test_the_earlier_digest_leaves_every_form_out():
    assert earlier_digest({"m": form("run=exact")}) == earlier_digest({"m": form("run=fast")})
    assert earlier_digest({"m": "f(description=1)"}) == earlier_digest({"m": "f(description=2)"})
    assert earlier_digest({"m": form(PLAIN)}) == source_digest({"m": form(PLAIN)})


def test_the_version_of_another_function_is_another_one(tmp_path):
    text = (ROOT / "tests" / "lab" / "double.py").read_text("utf-8")
    second = "def exact(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:\n    return Outputs(double=5)\n\n\nANALYSIS ="
    path = tmp_path / "lab_of_functions" / "double.py"
    path.parent.mkdir()
    versions = []
    for run in ("run", "exact"):
        path.write_text(text.replace("ANALYSIS =", second).replace("run=run", f"run={run}"), "utf-8")
        versions.append(load_analysis(path).code_version)
    assert versions[0] != versions[1]
    assert code_version("1", "2" * 64) == "1+222222222222"
