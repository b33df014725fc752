"""The environment in the record of a real run, and hardware that is emulated in runs of their own processes."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from domain.result.environment import environment_differences
from domain.result.records import from_record
from engine.discovery.analyses import load_analysis
from engine.execution.environment import Machine, installed_packages, lock_differences, run_code, run_environment
from resources.result_store.environments import read_environment
from tests.engine.execution.runs import killable

DIGITS = '''"""Numbers whose last digits depend on the kernels that numpy and BLAS select."""

from pathlib import Path

import numpy as np
from pydantic import Field

from domain.analysis import Analysis, AnalysisJob, OutputsModel, ParametersModel


class Parameters(ParametersModel):
    """None but the size."""

    size: int = Field(default=200, description="Rows of the matrix.")


class Outputs(OutputsModel):
    """Hexadecimal digits of the numbers."""

    solved: list[str] = Field(description="Solution of a linear system (BLAS).")
    powers: list[str] = Field(description="Exponential function (numpy).")


def run(job: AnalysisJob, parameters: Parameters, results_dir: Path) -> Outputs:
    """Solve a linear system."""
    matrix = np.random.default_rng(1).standard_normal((parameters.size, parameters.size))
    solved, powers = np.linalg.solve(matrix, matrix[0] * 3), np.exp(matrix[0])
    return Outputs(solved=[float(x).hex() for x in solved], powers=[float(x).hex() for x in powers])


ANALYSIS = Analysis(
    name="digits", version="1", owners=("team:tests",), parameters=Parameters, outputs=Outputs, run=run, workers=1
)
'''


@pytest.fixture
def digits(make_platform, tmp_path):
    """Give a platform with an analysis that shows every bit of its numbers."""
    (tmp_path / "digits.py").write_text(DIGITS, encoding="utf-8")
    return make_platform(tmp_path / "digits.py")


def facts_of(platform, key):
    return from_record(platform.record(key)).environment


def test_a_record_names_packages_lock_and_libraries(double):
    keys = double.ingest({"number": 1.0}, {"number": 2.0})
    assert double.run(keys).success
    facts, results = facts_of(double, keys[0]), double.services.results
    packages = json.loads(read_environment(results, facts.packages_sha256, "json"))
    versions = dict(packages["packages"])
    assert versions["numpy"] == np.__version__
    assert versions["pydantic-core"] == importlib.metadata.version("pydantic_core")
    assert packages["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts.engine_version == importlib.metadata.version("analysis-assets")
    code = from_record(double.record(keys[0])).code
    assert facts.matches_lock is True
    assert facts.lock_differences == ()
    lock = read_environment(results, code.lock_sha256, "txt")
    assert lock == (Path(__file__).parents[3] / "requirements" / "base.txt").read_bytes()
    blas = {(one["internal_api"], one["version"]) for one in threadpool_info() if one["user_api"] == "blas"}
    assert {(one.name, one.version) for one in facts.numeric.libraries if one.api == "blas"} & blas
    assert "SSE2" in facts.numeric.cpu_features or os.uname().machine != "x86_64"
    assert environment_differences(facts, facts_of(double, keys[1])) == ()


def test_a_dry_run_stores_no_documents(double):
    (key,) = double.ingest({"number": 1.0})
    assert double.run([key], config={"dry_run": True}).success
    results = double.services.results
    bucket, _, prefix = results.root.partition("/")
    assert list(results.objects_below(bucket, prefix)) == []


def emulated(platform, key, docdb_uri, home, monkeypatch, **variables):
    """Run a partition in a process with variables that hide processor features; gives its record."""
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        assert killable(platform, [key], docdb_uri, home).wait() == 0
    return from_record(platform.record(key))


@pytest.mark.slow
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the emulated processors are of the architecture x86_64")
def test_recorded_facts_explain_digits_that_differ_on_another_processor(digits, docdb_uri, s3, monkeypatch):
    keys = digits.ingest(*[{"size": 200 + n} for n in range(4)])
    home = s3.embedded_home
    plain = emulated(digits, keys[0], docdb_uri, home, monkeypatch)
    assert digits_again(digits, plain, {}) == plain.outputs, "one machine gives every bit again"
    hidden = [name for name in ("X86_V4", "X86_V3") if name in plain.environment.numeric.cpu_features]
    cases = [("solved", {"OPENBLAS_CORETYPE": "Nehalem"})]
    if hidden:
        cases.append(("powers", {"NPY_DISABLE_CPU_FEATURES": hidden[0]}))
    for key, (name, variables) in zip(keys[1:], cases, strict=False):
        other = emulated(digits, key, docdb_uri, home, monkeypatch, **variables)
        here = digits_again(digits, other, {})
        assert here[name] != other.outputs[name], variables
        numbers = [[float.fromhex(x) for x in found[name]] for found in (here, other.outputs)]
        np.testing.assert_allclose(*numbers, rtol=1e-9)
        explained = environment_differences(plain.environment, other.environment)
        assert any(one.startswith(("blas", "cpu_features")) for one in explained), explained
        assert digits_again(digits, other, variables) == other.outputs


def digits_again(platform, provenance, variables):
    """Compute the numbers of a result with the analysis file alone, in a process with other variables."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import digits; "
        "print(digits.run(None, digits.Parameters(size=int(sys.argv[2])), None).model_dump_json())"
    )
    words = [sys.executable, "-c", code, str(platform.entry.path.parent), str(provenance.parameters["size"])]
    names = {"OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"}
    own = {name: value for name, value in os.environ.items() if name not in names}
    root = str(Path(__file__).parents[3])
    answer = subprocess.run(
        words, check=True, capture_output=True, text=True, env={**own, **variables, "PYTHONPATH": root}
    )
    return json.loads(answer.stdout)


def test_each_package_that_differs_from_the_lock_is_named():
    lock = (
        "# a comment\n--hash=sha256:0\nnumpy==1.0 \\\n    --hash=sha256:1\n    # via x\nabsent-package==1\n"
        'windows-only==1 ; sys_platform == "win32" \\\n    --hash=sha256:2\npytest==2.0rc1\n'
    )
    installed = {"numpy": "2.0", "pytest": "2.0rc1"}
    assert list(lock_differences(lock, installed)) == [
        "numpy 2.0 (lock: ==1.0)",
        "absent-package is not installed (lock: ==1)",
    ]


def test_packages_are_those_that_python_imports():
    found = installed_packages()
    assert found["numpy"] == np.__version__
    assert all(name == name.lower() and "_" not in name for name in found)


def test_a_run_records_the_commit_at_its_start_and_the_patch_unless_switched_off(tmp_path):
    root = tmp_path / "repo"
    root.mkdir()
    (root / "digits.py").write_text(DIGITS, encoding="utf-8")
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    entry, machine = load_analysis(root / "digits.py"), Machine(tmp_path, image="registry/lab@sha256:0")
    clean = run_code(entry, machine)
    assert (clean.facts.dirty, clean.patch) == (False, None)
    (root / "digits.py").write_text(f"{DIGITS}X = 1\n", encoding="utf-8")
    code = run_code(entry, machine)
    subprocess.run([*git, "commit", "-q", "-a", "-m", "two"], check=True, capture_output=True)
    assert code.facts.commit == clean.facts.commit
    assert "+X = 1" in code.patch.text
    environment = run_environment(machine, code)
    assert (environment.facts.image, environment.facts.matches_lock) == ("registry/lab@sha256:0", None)
    assert {suffix: content for content, suffix in environment.documents}["patch"].decode() == code.patch.text
    assert run_code(entry, machine).facts.commit != clean.facts.commit
    (root / "digits.py").write_text(DIGITS, encoding="utf-8")
    assert run_code(entry, Machine(tmp_path, record_patch=False)).patch is None
