"""The security rules of ruff (S, those of bandit) hold for product code, and tests use what the product uses."""

import ast
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster
import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(TEXT)
LINT = PROJECT["tool"]["ruff"]["lint"]
PACKAGES = [pattern.removesuffix("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]]
PRODUCT = [*PACKAGES, *PROJECT["tool"]["setuptools"]["py-modules"]]
SECURITY = re.compile(r"\bS\d*\b")
PLANTED = {
    "S102": "exec(x)",
    "S105": "password = 'hunter2'",
    "S108": "f = '/tmp/fixed'",
    "S113": "import requests\nrequests.get('https://a.example')",
    "S301": "import pickle\npickle.loads(x)",
    "S307": "eval(x)",
    "S310": "import urllib.request\nurllib.request.urlopen(x)",
    "S324": "import hashlib\nhashlib.md5(x)",
    "S501": "import requests\nrequests.get('https://a.example', verify=False, timeout=1)",
    "S506": "import yaml\nyaml.load(x)",
    "S602": "import subprocess\nsubprocess.run(x, shell=True)",
    "S603": "import subprocess\nsubprocess.run([x])",
}


def sources():
    """Return the Python files that are tracked."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines()]


def complaints(code, name):
    """Return what ruff says of code that is a file of the project."""
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "check", "--quiet", "--no-cache", "--output-format", "concise", "--stdin-filename", name, "-"],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def planted_in(part):
    """Return the name of a file in a part of the product."""
    return f"{part}.py" if part in PROJECT["tool"]["setuptools"]["py-modules"] else f"{part}/planted.py"


@pytest.mark.parametrize("part", PACKAGES)
def test_the_parts_that_are_checked_are_packages(part):
    assert (ROOT / part / "__init__.py").is_file()


@pytest.mark.parametrize("part", PRODUCT)
def test_security_rules_are_on_in_every_part_of_the_product(part):
    code = "def f(x):\n" + "".join(f"    {line}\n" for planted in PLANTED.values() for line in planted.splitlines())
    found = complaints(code, planted_in(part))
    assert set(PLANTED) <= set(re.findall(r": (S\d+) ", found)), found


PRIVATE_DAGSTER = [
    "from dagster._core.events import DagsterEventType",
    "import dagster._core.storage.tags",
    "from dagster import _check",
    "import dagster as dg\n\nx = dg._core.events",
]


@pytest.mark.parametrize("code", PRIVATE_DAGSTER)
@pytest.mark.parametrize("part", PRODUCT)
def test_the_private_api_of_dagster_is_banned_in_every_part_of_the_product(part, code):
    assert "TID251" in complaints(code, planted_in(part))


@pytest.mark.parametrize("code", PRIVATE_DAGSTER)
def test_one_package_may_import_the_private_api_of_dagster(code):
    assert "TID251" not in complaints(code, "resources/dagster_storage/planted.py")
    assert "TID251" in complaints(code, "resources/planted.py")
    allowed = {name for name, rules in LINT["per-file-ignores"].items() if "TID251" in rules}
    assert allowed == {"tests/**", "resources/dagster_storage/**"}


def test_every_private_module_of_dagster_is_banned():
    banned = {name for name in LINT["flake8-tidy-imports"]["banned-api"] if name.startswith("dagster.")}
    private = {f"dagster.{found.name}" for found in pkgutil.iter_modules(dagster.__path__) if found.name[0] == "_"}
    assert banned == private - {"dagster.__main__"}


def test_no_line_of_the_product_is_excepted_from_the_ban():
    product = [path for path in sources() if path.relative_to(ROOT).parts[0] != "tests" and path != Path(__file__)]
    assert not [path for path in product if re.search(r"# noqa:.*TID251", path.read_text(encoding="utf-8"))]


def test_no_security_rule_is_switched_off_for_a_file_of_the_product():
    assert LINT["select"] == ["ALL"]
    assert not [rule for rule in LINT["ignore"] if SECURITY.fullmatch(rule)]
    excepted = {name for name, rules in LINT["per-file-ignores"].items() if any(map(SECURITY.fullmatch, rules))}
    assert excepted == {"tests/**", "benchmarks/**"}
    lines = [line for line in TEXT.splitlines() if re.match(r'"(tests|benchmarks)/\*\*" = ', line)]
    assert len(lines) == 2
    assert all(re.search(r"\]  # \w+", line) for line in lines)


def test_every_line_that_is_excepted_from_a_security_rule_says_why():
    bare = []
    for path in sources():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = re.search(r"# noqa: ((?:[A-Z]+\d+(?:, ?)?)+)(.*)$", line)
            if found and SECURITY.search(found[1]) and not re.search(r"\w{2}", found[2]):
                bare.append(f"{path.relative_to(ROOT)}:{number}")
            assert not re.search(r"# noqa(?!:)", line) or path == Path(__file__), (
                f"{path}:{number} switches off every rule"
            )
    assert bare == []


def of_the_product(tree):
    """Return the names that a module imports from the product, each with where it is from."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PRODUCT:
            found |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0]: name.name for name in node.names if name.name.split(".")[0] in PRODUCT}
    return found


def replaced(tree, ours):
    """Yield where a module replaces something of the product, by `monkeypatch.setattr` or by an assignment."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in {"setattr", "delattr"} and root_of(node.args[0]) in {*PRODUCT, *ours}:
                yield node.lineno
        elif isinstance(node, ast.Assign):
            targets = [target for target in node.targets if isinstance(target, ast.Attribute)]
            if any(is_module(ours.get(root_of(target), "")) for target in targets):
                yield node.lineno


def root_of(node):
    """Return the first name of an expression, or of a path in a text."""
    text = node.value if isinstance(node, ast.Constant) else ast.unparse(node)
    return re.split(r"[.(\[]", str(text))[0]


def is_module(whole):
    """Return whether a dotted name is a module of the product."""
    return bool(whole) and ROOT.joinpath(*whole.split(".")).with_suffix(".py").is_file()


MUTATIONS = ROOT / "tests" / "interleaving" / "mutations.py"
"""The one module that removes fixes of the product, to show that the suite notices."""


def sets_by_name(tree):
    """Tell whether a module uses the functions by which methods can be replaced without naming them."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
    return bool(names & {"setattr", "delattr"})


def test_one_module_of_the_tests_may_replace_methods_of_the_product():
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8")) for path in sources() if path.is_relative_to(ROOT / "tests")
    }
    assert [path for path, tree in trees.items() if sets_by_name(tree) and of_the_product_in(tree)] == [MUTATIONS]


def of_the_product_in(tree):
    """Return the classes and functions that a module imports from the resources and the engine."""
    found = of_the_product(tree).values()
    return [
        whole for whole in found if whole.startswith(("resources.", "engine.", "operations.", "sensors.", "audit."))
    ]


def test_tests_import_no_private_name_and_replace_nothing_of_the_product():
    private, changed = [], []
    for path in sources():
        if path.is_relative_to(ROOT / "tests"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            ours = of_the_product(tree)
            private += [f"{path}: {whole}" for whole in ours.values() if is_private(whole)]
            changed += [f"{path}:{line}" for line in replaced(tree, ours)]
    assert private == []
    assert changed == []


def is_private(whole):
    """Return whether a name is private to its module; modules of machinery may begin with an underscore."""
    return whole.rpartition(".")[2].startswith("_") and not is_module(whole)
